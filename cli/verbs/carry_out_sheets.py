"""Carries out `nstbatch deconv`: the pass over the images, and then the sheets."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import typer

from nstbatch.cli.exit_codes import DONE, FAILED, INTERRUPTED
from nstbatch.cli.text import printable
from nstbatch.runtime.errors import StoppedError

from .carry_out import Work, carry_out, last_words, terminate, way_on
from .prepare import BatchOptions, chosen

if TYPE_CHECKING:
    from pathlib import Path

    from nstbatch.cli.batch.interrupt import Interrupt
    from nstbatch.cli.deconv.sheet_kind import SheetKind
    from nstbatch.cli.jobs.search import Unreadable


@contextmanager
def _interruptible(kind: SheetKind, batch: BatchOptions) -> Iterator[Interrupt]:
    """Let Ctrl-C end the command with exit code 130, and say how to resume it."""
    from nstbatch.cli.batch.interrupt import Interrupt

    try:
        with Interrupt(partial(terminate, kind.engines), partial(last_words, batch)) as stop:
            yield stop
    except (KeyboardInterrupt, StoppedError) as error:
        print(way_on(batch), file=sys.stderr, end="")
        raise typer.Exit(INTERRUPTED) from error


def search(kind: SheetKind, images: int, batch: BatchOptions) -> None:
    """Pass over the images."""
    from nstbatch.cli.console.pass_progress import passing
    from nstbatch.cli.jobs.plan import make_writable

    make_writable(batch.out)
    with _interruptible(kind, batch) as stop, passing(images, quiet=batch.quiet) as progress:
        kind.search(progress, stop)


def draw(
    kind: SheetKind, images: Sequence[Path], folders: Sequence[Unreadable], batch: BatchOptions
) -> int:
    """Draw the sheets, and then what belongs to several of them; return the exit code."""
    from nstbatch.cli.jobs.plan import Plan, refuse_overwriting
    from nstbatch.cli.jobs.search import Unreadable

    before = dict(kind.unreadable)
    unreadable = (*folders, *(Unreadable(path, reason) for path, reason in before.items()))
    jobs = tuple(kind.jobs())
    refuse_overwriting((job.output for job in jobs), images)
    plan = chosen(Plan(jobs, unreadable), batch)
    code = carry_out(Work(plan, kind.paint, kind.engines, effort=kind.effort), batch)
    if batch.dry_run or code not in (DONE, FAILED):
        return code
    with _interruptible(kind, batch) as stop:
        for path in kind.finish(stop):
            say(batch, f"overview {path}")
    late = {path: why for path, why in kind.unreadable.items() if path not in before}
    _report_unreadable(late, batch)
    return FAILED if late else code


def _report_unreadable(unreadable: dict[Path, str], batch: BatchOptions) -> None:
    """Report the images that turned out to be unreadable while sheets were drawn."""
    from nstbatch.cli.console.reporters import QuietReporter
    from nstbatch.cli.jobs.painting import Outcome, Status

    reporter = QuietReporter(results=batch.results)
    for path, reason in unreadable.items():
        reporter.finished(Outcome(path, None, Status.FAILED, reason))


def say(batch: BatchOptions, line: str) -> None:
    """Print a line for people, unless they want quiet."""
    if not batch.quiet:
        print(printable(line), file=sys.stderr, flush=True)
