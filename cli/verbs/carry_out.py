"""What every verb that paints a batch does around its painter."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nstbatch.cli.exit_codes import DONE, FAILED, NOTHING_MATCHED
from nstbatch.cli.options.invocation import Invocation
from nstbatch.cli.text import printable, shell
from nstbatch.runtime.errors import ImageError, NonFiniteError, NstbatchError, UsageError
from nstbatch.runtime.pictures.picture_options import Keep, PictureOptions

if TYPE_CHECKING:
    from nstbatch.cli.batch.batch import Batch, Reporter, Summary
    from nstbatch.cli.jobs.effort import Effort
    from nstbatch.cli.jobs.painting import Painter, Painting
    from nstbatch.cli.jobs.plan import Plan
    from nstbatch.cli.output.output_folder import OutputFolder
    from nstbatch.cli.output.survey import Entry
    from nstbatch.runtime.checks import Pooling
    from nstbatch.runtime.descent.loop import StopReason
    from nstbatch.runtime.engine.engine import Engine
    from nstbatch.runtime.objectives.terms import Objective
    from nstbatch.runtime.pictures.images import Picture
    from nstbatch.runtime.systems.system import Result

STDERR = 2
# DECTCEM of ECMA-48 terminals: a bar that is shown hides the cursor.
SHOW_CURSOR = "\x1b[?25h"


@dataclass(frozen=True)
class BatchOptions:
    """The options of a batch; see :mod:`nstbatch.cli.options.painting`."""

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
    invocation: Invocation = field(default_factory=Invocation)
    pictures: PictureOptions = field(default_factory=PictureOptions)


def picture_options(
    format_: str | None, quality: int | None, name: str | None, *, preserve: bool, strip: bool
) -> PictureOptions:
    """How pictures are written, from the options of a batch.

    Raises:
        UsageError: One of them is out of range, or ``preserve`` and ``strip`` are both given.
    """
    if preserve and strip:
        raise UsageError("--preserve and --strip exclude each other.")
    keep: Keep = "everything" if preserve else "nothing" if strip else "telling"
    return PictureOptions(format_, quality, name, keep)


def read_picture(path: Path, role: str) -> Picture:
    """Read a picture that the whole batch needs, such as "the style".

    Raises:
        UsageError: It cannot be read.
    """
    from nstbatch.runtime.pictures import images

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

    See :func:`.plan.make_plan`. A format that was asked for comes before the verb's ``suffix``.
    """
    from nstbatch.cli.jobs.naming import Naming, fields
    from nstbatch.cli.jobs.plan import make_plan

    template = batch.pictures.name
    only = batch.invocation.call.only
    inputs = list(inputs) if only is None else _still_there(inputs)
    plan = make_plan(
        inputs,
        batch.out,
        recursive=batch.recursive,
        keep=keep,
        suffix=batch.pictures.suffix or suffix,
        variations=variations,
        naming=None if template is None else Naming(template, fields(batch.invocation.settings)),
    )
    if only is not None:
        return _those(plan, only, batch.out)
    if plan.jobs or plan.unreadable:
        return plan
    raise nothing_found(inputs, recursive=batch.recursive)


def nothing_found(inputs: Iterable[Path], *, recursive: bool) -> typer.Exit:
    """Say that there is no photo, and return the end of the command."""
    places = ", ".join(map(printable, inputs))
    hint = "" if recursive else " To look into the folders within, give --recursive."
    print(f"nstbatch: No photo was found in {places}.{hint}", file=sys.stderr)
    return typer.Exit(NOTHING_MATCHED)


def _still_there(inputs: Iterable[Path]) -> list[Path]:
    """Return the inputs of an earlier command, less those that have been removed since."""
    return [path for path in inputs if os.path.lexists(path)]


def _those(plan: Plan, only: frozenset[str], out: Path) -> Plan:
    """Return the part of a plan that makes these pictures, and say which are not in it any more."""
    from nstbatch.cli.output.survey import key_of

    jobs = {key_of(job.output, out): job for job in plan.jobs}
    for key in sorted(only - jobs.keys()):
        print(f"nstbatch: The photo of {printable(out / key)} is gone.", file=sys.stderr)
    return replace(plan, jobs=tuple(job for key, job in jobs.items() if key in only))


def check_finished(reason: StopReason) -> None:
    """Raise what a painter raises for a run that ended before its time."""
    from nstbatch.runtime.descent.loop import StopReason

    if reason is StopReason.STOPPED:
        raise KeyboardInterrupt
    if reason is StopReason.NON_FINITE:
        raise NonFiniteError(reason.value)
    if not reason.is_success:
        raise NstbatchError(reason.value)


def painting_of(result: Result) -> Painting:
    """The picture of a run that went to its end; see :func:`check_finished`."""
    from nstbatch.cli.jobs.painting import Painting

    check_finished(result.reason)
    return Painting(
        result.image,
        result.alpha,
        result.losses,
        result.steps,
        result.provider,
        result.precision,
    )


def share(
    engine: Engine,
    together: int | None,
    objective: Objective,
    optimizer: str,
    pooling: Pooling,
    size: tuple[int, int],
) -> int:
    """Let an engine step pictures together, and return how many photos to work at at once.

    Args:
        engine: What steps them.
        together: How many at most; None for what it gains from, see :meth:`.Engine.best_batch`.
        objective: What they are stepped down.
        optimizer: The name of what moves them.
        pooling: Which variant of the network.
        size: Height and width of the largest.
    """
    from nstbatch.runtime.descent.optimizers import optimizer_named

    batch = together or engine.best_batch(objective, optimizer_named(optimizer), pooling, size)
    engine.share(batch)
    # As many again are read, written and brought to where they can take a place.
    return 2 * batch


def carry_out(
    plan: Plan,
    painter: Painter,
    batch: BatchOptions,
    *,
    engine: Engine | None = None,
    sources: Mapping[str, Path | None] | None = None,
    effort: Effort | None = None,
    at_once: int = 1,
) -> int:
    """Paint the plan, or only show it, and return the exit code.

    Args:
        plan: What is to become of what.
        painter: Paints one photo.
        batch: The options.
        engine: What the painter computes with: its network is part of what a picture is made from,
            and it gets a second try with less memory, or in fp32.
        sources: The pictures that every photo is painted with, by the names of their options;
            their bytes count, not their names.
        effort: What a picture takes, for the estimate of a dry run.
        at_once: How many photos the painter may be asked for at a time.

    Raises:
        UsageError: Pictures are there that were made otherwise, or nothing can be written.
    """
    from nstbatch.cli.batch.batch import Batch
    from nstbatch.cli.batch.faults import resilient
    from nstbatch.cli.output.fingerprint import origin_of
    from nstbatch.cli.output.output_folder import Bundle, OutputFolder
    from nstbatch.cli.output.picture_writer import PictureWriter
    from nstbatch.cli.output.survey import Photos, survey

    bundle = Bundle(engine.bundle.name, engine.bundle.sha256) if engine else Bundle()
    origin = origin_of(batch.invocation, sources or {}, bundle.sha256)
    writer = PictureWriter(batch.pictures, batch.invocation)
    folder, photos = OutputFolder(batch.out, writer), Photos()

    def entries() -> list[Entry]:
        return survey(plan, batch.out, folder.ledger, origin, photos, overwrite=batch.overwrite)

    if batch.dry_run:
        return _show(plan, entries(), folder, batch, effort, bundle.name)
    if engine is not None:
        painter = resilient(painter, engine)
    with folder:
        begin = partial(folder.begin, batch.invocation, origin, bundle)
        work = Batch(entries(), painter, folder, origin, photos, plan.unreadable, begin, at_once)
        summary = _paint(work, batch, engine)
    _print_end(summary, batch)
    if batch.report:
        _make_page(summary, batch)
    return summary.exit_code


def _show(
    plan: Plan,
    entries: list[Entry],
    folder: OutputFolder,
    batch: BatchOptions,
    effort: Effort | None,
    network: str,
) -> int:
    from nstbatch.cli.console.dry_run import print_totals, show
    from nstbatch.cli.output.survey import refuse_outdated

    show(plan, entries, as_json=batch.as_json)
    if not batch.quiet:
        print_totals(entries, folder.ledger, effort, network)
    refuse_outdated(entries)
    return FAILED if plan.unreadable else DONE


def _paint(work: Batch, batch: BatchOptions, engine: Engine | None) -> Summary:
    from nstbatch.cli.batch.batch import run
    from nstbatch.cli.batch.interrupt import Interrupt
    from nstbatch.cli.console.reporters import reporter
    from nstbatch.cli.output.survey import refuse_outdated

    refuse_outdated(work.entries)
    if work.to_do and not batch.quiet:
        _print_what_is_faster(batch)
    photos = len(work.entries) + len(work.unreadable)

    def last_words() -> None:
        os.write(STDERR, f"{SHOW_CURSOR if os.isatty(STDERR) else ''}{_way_on(batch)}".encode())

    with (
        Interrupt(engine.terminate if engine else lambda: None, last_words) as interrupt,
        reporter(photos, work.to_do, as_json=batch.as_json, quiet=batch.quiet) as console,
        _watched(console, work.to_do, batch) as report,
    ):
        return run(work, report, fail_fast=batch.fail_fast, stop=interrupt)


@contextmanager
def _watched(console: Reporter, to_do: int, batch: BatchOptions) -> Iterator[Reporter]:
    """Serve the page of the batch while it runs, if that was asked for."""
    if not (batch.watch_progress or batch.watch_port):
        yield console
        return
    from nstbatch.cli.report.live_batch import LiveBatch, Tee
    from nstbatch.cli.report.progress_server import serving

    live = LiveBatch(batch.out, to_do)
    with serving(live, batch.watch_port) as address:
        print(f"progress at {address}", file=sys.stderr, flush=True)
        yield Tee(console, live)


def _print_what_is_faster(batch: BatchOptions) -> None:
    """Name the device that this machine has and "auto" could not take, before the waiting."""
    from nstbatch.runtime.devices.providers import within_reach

    asked = batch.invocation.settings
    if (asked.get("device"), asked.get("precision")) != ("auto", "auto"):
        return
    missing = within_reach()
    if missing is not None:
        print(
            f"nstbatch: The device {missing.device!r} would be faster and cannot be used: "
            f"{missing.detail}. To change that: {missing.fix}",
            file=sys.stderr,
        )


def _print_end(summary: Summary, batch: BatchOptions) -> None:
    from nstbatch.cli.console.reporters import summary_line

    if summary.fault:
        print(f"nstbatch: The batch was stopped. {summary.fault}", file=sys.stderr)
    if not batch.quiet:
        print(summary_line(summary), file=sys.stderr)
    if summary.fault or summary.interrupted:
        print(_way_on(batch), file=sys.stderr, end="")


def _make_page(summary: Summary, batch: BatchOptions) -> None:
    """Make the page, unless somebody is waiting for the end."""
    if summary.interrupted:
        words = ["nstbatch", "report", os.fspath(batch.out)]
        print(f"for the page: {shell(words)}", file=sys.stderr)
        return
    from nstbatch.cli.report.page import write_page

    from .report import tracked

    page = write_page(batch.out, None if batch.quiet else tracked)
    if not batch.quiet:
        print(f"the page is {printable(page)}", file=sys.stderr)


def _way_on(batch: BatchOptions) -> str:
    """Return the command that goes on with a batch that was stopped, for a shell."""
    words = batch.invocation.resume
    return f"to go on: {shell(words)}\n" if batch.invocation.verb else ""
