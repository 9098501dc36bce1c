"""What every verb that paints a batch does around its painter."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nstbatch.runtime.errors import ImageError, NstbatchError, UsageError
from nstbatch.runtime.picture_options import Keep, PictureOptions

from .parameters import Invocation
from .text import count, printable

if TYPE_CHECKING:
    from nstbatch.runtime.images import Picture
    from nstbatch.runtime.loop import StopReason

    from .batch import Painter
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
    pictures: PictureOptions = field(default_factory=PictureOptions)
    run: Invocation | None = None
    """What the verb was told; None for pictures without a recipe, in a folder without settings."""


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

    See :func:`.plan.make_plan`. A format that was asked for comes before the verb's ``suffix``.
    """
    from .naming import Naming, fields
    from .plan import make_plan

    template = batch.pictures.name
    of_the_run = fields(batch.run.settings) if batch.run else {}
    inputs = list(inputs)
    plan = make_plan(
        inputs,
        batch.out,
        recursive=batch.recursive,
        keep=keep,
        suffix=batch.pictures.suffix or suffix,
        variations=variations,
        naming=None if template is None else Naming(template, of_the_run),
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
    from . import config
    from .batch import is_there, run
    from .console import reporter, summary_line
    from .interrupt import Interrupt
    from .picture_writer import PictureWriter
    from .plan import make_writable

    make_writable(batch.out)
    if batch.run is not None:
        config.save(batch.run, batch.out)
    photos = len(plan.jobs) + len(plan.unreadable)
    to_paint = sum(not is_there(job, batch.overwrite) for job in plan.jobs)
    with (
        Interrupt() as interrupt,
        reporter(photos, to_paint, as_json=batch.as_json, quiet=batch.quiet) as report,
    ):
        summary = run(
            plan,
            painter,
            report,
            writer=PictureWriter(batch.pictures, batch.run),
            overwrite=batch.overwrite,
            fail_fast=batch.fail_fast,
            stop=interrupt,
        )
    if not batch.quiet:
        print(summary_line(summary), file=sys.stderr)
    return summary.exit_code


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
