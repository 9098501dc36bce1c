"""The shared first step of the batch verbs: verbosity, limits, and the options of the batch."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from nstbatch.cli.console.logs import import_onnxruntime, set_verbosity
from nstbatch.cli.jobs.parameters import STREAM
from nstbatch.cli.options.reporting import Reporting, StepReporting
from nstbatch.cli.parsing.invocation import invocation
from nstbatch.cli.parsing.toml_options import given
from nstbatch.cli.text import printable
from nstbatch.cli.workers.choice import processes_of
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.storage.addresses import RemotePath

from .alone import alone, check_alone
from .input_options import InputOptions, read_standard_input
from .prepare import BatchOptions

if TYPE_CHECKING:
    import typer

    from nstbatch.cli.jobs.invocation import Invocation
    from nstbatch.cli.options.selection import Selection
    from nstbatch.cli.options.writing import PhotoWriting, SheetWriting


ON_DISK_ALONE = ("deconv", "reconstruct")
"""The verbs that write more than pictures beside their ledger, such as tables."""


def batch_options(
    context: typer.Context,
    selection: Selection,
    writing: PhotoWriting | SheetWriting,
    reporting: Reporting,
) -> BatchOptions:
    """Set messages and limits of this process, and return the options of the batch.

    Raises:
        UsageError: Options are out of range, or exclude each other.
    """
    set_verbosity(quiet=reporting.quiet, verbose=reporting.verbose)
    steps = reporting if isinstance(reporting, StepReporting) else StepReporting()
    import_onnxruntime()
    if writing.max_pixels is not None:
        from nstbatch.runtime.formats.limits import set_max_pixels

        set_max_pixels(writing.max_pixels)
    temporary = partial(_temporary, context)
    picture = alone(selection.out, writing.pictures, temporary)
    if picture is not None:
        check_alone(picture, writing.pictures, given(context))
    if isinstance(selection.out, RemotePath):
        _check_store(selection.out, context.info_name or "", steps, reporting)
    run = invocation(context)
    if run.changed:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in run.changed)
        raise UsageError(
            f"Not made again: {names} would have another value than then, since a settings file or "
            "your own defaults have changed. To make all pictures again, run the command itself "
            "with --overwrite."
        )
    return BatchOptions(
        out=selection.out if picture is None else picture.file.parent,
        recursive=selection.recursive,
        overwrite=selection.overwrite,
        dry_run=selection.dry_run,
        fail_fast=selection.fail_fast,
        as_json=reporting.as_json,
        quiet=reporting.quiet,
        report=reporting.report and picture is None,
        watch_progress=reporting.watch_progress and picture is None,
        watch_port=reporting.watch_port if picture is None else None,
        preview=steps.protocol,
        snapshots=steps.snapshots,
        invocation=run,
        pictures=writing.pictures,
        processes=processes_of(run.settings),
        inputs=InputOptions(
            selection.from_file,
            selection.null,
            selection.include or (),
            selection.exclude or (),
            _stored_input(run, selection.from_file, temporary),
        ),
        alone=picture,
    )


def _check_store(out: RemotePath, verb: str, steps: StepReporting, reporting: Reporting) -> None:
    """Raise a UsageError for an address that takes no pictures, or options that need a disk."""
    if out.is_of_the_web:
        raise UsageError(f"{printable(out)} cannot be written to: addresses of the web are read.")
    options = {
        verb: verb in ON_DISK_ALONE,
        "--snapshots": steps.snapshots,
        "--report": reporting.report,
        "--watch-progress": reporting.watch_progress,
        "--watch-port": reporting.watch_port,
    }
    for name, value in options.items():
        if value:
            raise UsageError(f"{name} needs an output folder on a disk, not {printable(out)}.")


def _stored_input(
    run: Invocation, from_file: Path | None, temporary: Callable[[], Path]
) -> Path | None:
    """Store the picture from standard input in a file; return None if none is asked for.

    A worker process gets it from the batch that it paints for.

    Raises:
        UsageError: Standard input holds something else.
    """
    if run.call.service is not None:
        return None
    given = run.arguments.get(run.inputs or "")
    is_input = isinstance(given, list) and os.fspath(STREAM) in given
    is_list = from_file == STREAM
    if is_input and is_list:
        raise UsageError("Standard input is either a picture or the list of --from-file.")
    if (is_input or is_list) and run.call.only is not None:
        raise UsageError("This command read standard input, which cannot be read again.")
    if not is_input:
        return None
    stored = temporary() / "stdin"
    stored.write_bytes(read_standard_input("a picture"))
    return stored


def _temporary(context: typer.Context) -> Path:
    """Make a folder that is removed when the command ends."""
    return Path(context.with_resource(TemporaryDirectory(prefix="nstbatch-")))
