"""What every verb that paints a batch does around its painter."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nstbatch.runtime.errors import ImageError, NstbatchError, UsageError

from .text import count, printable

if TYPE_CHECKING:
    from nstbatch.runtime.images import Picture
    from nstbatch.runtime.loop import StopReason

    from .batch import Painter, Reporter, Summary
    from .plan import Plan

NOTHING_MATCHED = 3


@dataclass(frozen=True)
class BatchOptions:
    """The options of a batch; see :mod:`nstbatch.cli.options`."""

    out: Path
    recursive: bool
    overwrite: bool
    dry_run: bool
    fail_fast: bool
    as_json: bool
    quiet: bool
    report: bool = False
    watch_progress: bool = False
    watch_port: int | None = None


def read_picture(path: Path, role: str) -> Picture:
    """Read a picture that the whole batch needs, such as "the style".

    Raises:
        UsageError: It cannot be read.
    """
    from nstbatch.runtime import images

    try:
        return images.read(path)
    except ImageError as error:
        raise UsageError(f"{printable(path)} cannot be {role}: {error}") from error


def find_photos(
    inputs: Iterable[Path],
    batch: BatchOptions,
    keep: Sequence[Path] = (),
    *,
    suffix: str | None = None,
    variations: int = 1,
) -> Plan:
    """Make the plan, or end the command with exit code 3 where there is nothing to plan.

    See :func:`.plan.make_plan`.
    """
    from .plan import make_plan

    inputs = list(inputs)
    plan = make_plan(
        inputs,
        batch.out,
        recursive=batch.recursive,
        keep=keep,
        suffix=suffix,
        variations=variations,
    )
    if plan.jobs or plan.unreadable:
        return plan
    places = ", ".join(map(printable, inputs))
    hint = "" if batch.recursive else " To look into the folders within, give --recursive."
    print(f"nstbatch: No photo was found in {places}.{hint}", file=sys.stderr)
    raise typer.Exit(NOTHING_MATCHED)


def check_finished(reason: StopReason) -> None:
    """Raise what a painter raises for a run that ended before its time."""
    from nstbatch.runtime.loop import StopReason

    if reason is StopReason.STOPPED:
        raise KeyboardInterrupt
    if reason is not StopReason.FINISHED:
        raise NstbatchError(reason.value)


def carry_out(plan: Plan, painter: Painter, batch: BatchOptions) -> int:
    """Paint the plan, or only show it, and return the exit code."""
    if batch.dry_run:
        return _show(plan, batch)
    from .batch import is_there, run
    from .console import reporter, summary_line
    from .interrupt import Interrupt
    from .plan import make_writable

    make_writable(batch.out)
    photos = len(plan.jobs) + len(plan.unreadable)
    to_paint = sum(not is_there(job, batch.overwrite) for job in plan.jobs)
    with (
        Interrupt() as interrupt,
        reporter(photos, to_paint, as_json=batch.as_json, quiet=batch.quiet) as console,
        _watched(console, to_paint, batch) as report,
    ):
        summary = run(
            plan,
            painter,
            report,
            overwrite=batch.overwrite,
            fail_fast=batch.fail_fast,
            stop=interrupt,
        )
    if not batch.quiet:
        print(summary_line(summary), file=sys.stderr)
    if batch.report:
        _report(batch, summary)
    return summary.exit_code


@contextmanager
def _watched(console: Reporter, to_paint: int, batch: BatchOptions) -> Iterator[Reporter]:
    """Serve the page of the batch while it runs, if that was asked for."""
    if not (batch.watch_progress or batch.watch_port):
        yield console
        return
    from .live_batch import LiveBatch, Tee
    from .progress_server import serving

    live = LiveBatch(batch.out, to_paint)
    with serving(live, batch.watch_port) as address:
        print(f"progress at {address}", file=sys.stderr, flush=True)
        yield Tee(console, live)


def _report(batch: BatchOptions, summary: Summary) -> None:
    """Make the page, unless somebody is waiting for the end."""
    if summary.interrupted:
        print(f"for the page: nstbatch report {shlex.quote(str(batch.out))}", file=sys.stderr)
        return
    from .report import tracked
    from .report_page import write_page

    page = write_page(batch.out, None if batch.quiet else tracked)
    if not batch.quiet:
        print(f"the page is {printable(page)}", file=sys.stderr)


def _show(plan: Plan, batch: BatchOptions) -> int:
    from .batch import ALREADY_THERE, Outcome, Status, is_there
    from .console import outcome_line, print_json

    outcomes = [
        Outcome(folder.path, None, Status.FAILED, folder.reason) for folder in plan.unreadable
    ]
    for job in plan.jobs:
        if is_there(job, batch.overwrite):
            outcomes.append(Outcome(job.input, job.output, Status.SKIPPED, ALREADY_THERE))
        else:
            outcomes.append(Outcome(job.input, job.output, Status.PLANNED))
    for outcome in outcomes:
        if batch.as_json:
            print_json(outcome)
        else:
            print(outcome_line(outcome))
    if not batch.quiet:
        print(
            f"{count(len(plan.jobs), 'picture')}; a dry run, nothing was painted", file=sys.stderr
        )
    return 1 if plan.unreadable else 0
