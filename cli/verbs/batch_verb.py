"""The shared first step of the batch verbs: verbosity, limits, and the options of the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nstbatch.cli.console.logs import set_verbosity
from nstbatch.cli.options.invocation import invocation

from .prepare import BatchOptions

if TYPE_CHECKING:
    import typer

    from nstbatch.cli.options.reporting import Reporting
    from nstbatch.cli.options.selection import Selection
    from nstbatch.cli.options.writing import PhotoWriting, SheetWriting


def batch_options(
    context: typer.Context,
    selection: Selection,
    writing: PhotoWriting | SheetWriting,
    reporting: Reporting,
) -> BatchOptions:
    """Set verbosity and limits of this process, and return the options of the batch.

    Raises:
        UsageError: Options are out of range, or exclude each other.
    """
    set_verbosity(quiet=reporting.quiet, verbose=reporting.verbose)
    if writing.max_pixels is not None:
        from nstbatch.runtime.pictures.limits import set_max_pixels

        set_max_pixels(writing.max_pixels)
    return BatchOptions(
        out=selection.out,
        recursive=selection.recursive,
        overwrite=selection.overwrite,
        dry_run=selection.dry_run,
        fail_fast=selection.fail_fast,
        as_json=reporting.as_json,
        quiet=reporting.quiet,
        report=reporting.report,
        watch_progress=reporting.watch_progress,
        watch_port=reporting.watch_port,
        invocation=invocation(context),
        pictures=writing.pictures,
    )
