"""``nstbatch reconstruct``: what the layers of a network keep of an image."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import typer

from nstbatch.cli.batch.painted import check_finished
from nstbatch.cli.jobs.effort import effort_of_photos
from nstbatch.cli.options.computing import ComputingInTiles
from nstbatch.cli.options.reconstruct import DEFAULT_OUT, Reconstructing
from nstbatch.cli.options.reporting import StepReporting
from nstbatch.cli.options.selection import Inputs, Selection
from nstbatch.cli.options.writing import PhotoWriting
from nstbatch.cli.parsing.with_groups import with_groups
from nstbatch.cli.text import printable
from nstbatch.runtime.checks import OWN
from nstbatch.runtime.errors import NonFiniteError, UsageError

from .batch_verb import batch_options
from .carry_out import Work, carry_out
from .prepare import find_photos

if TYPE_CHECKING:
    from nstbatch.cli.jobs.painting import Painter, Painting, Stop
    from nstbatch.cli.jobs.plan import Job
    from nstbatch.runtime.descent.progress import ProgressCallback
    from nstbatch.runtime.systems.reconstruction import Reconstruction
    from nstbatch.runtime.systems.reconstruction_options import ReconstructionOptions


@with_groups
def reconstruct(
    context: typer.Context,
    inputs: Inputs = None,
    selection: Selection = Selection(DEFAULT_OUT),
    reconstructing: Reconstructing = Reconstructing(),
    computing: ComputingInTiles = ComputingInTiles(),
    writing: PhotoWriting = PhotoWriting(),
    reporting: StepReporting = StepReporting(),
) -> None:
    """Reconstruct images from what the layers of a network keep of them.

    Makes a sheet for each image: the original beside its reconstructions. A .json
    file beside it has their errors, reconstruction.csv those of all images.

    Prints the path of each new sheet, or with --json one line for each image.
    Messages go to standard error. Sheets that are already there are skipped.

    Exit codes: 0 all done or already there, 1 some failed, 2 wrong usage,
    3 no image found, 130 interrupted.
    """
    from nstbatch.cli.report.reconstruction_report import (
        error_table,
        print_table,
        read_rows,
        write_csv,
    )

    batch = batch_options(context, selection, writing, reporting)
    options = reconstructing.options
    plan = find_photos(inputs, batch, suffix=".png")
    reconstruction = _load(computing, options)
    layer_runs = len(reconstruction.layers(options)) * len(options.tv_weights or (1,))
    memory = partial(reconstruction.peak_memory, options)
    has_tiles = all(layer.stride is not None for layer in reconstruction.layers(options))
    work = Work(
        plan,
        _painter(reconstruction, options),
        engines=[reconstruction.engine],
        effort=effort_of_photos(
            options.size, options.max_size, options.iterations * layer_runs, memory
        ),
        budget=computing.budget(has_tiles=has_tiles),
    )
    code = carry_out(work, batch)
    rows = [] if batch.dry_run or batch.alone else read_rows(batch.out)
    if rows:
        write_csv(batch.out, rows)
        if reconstructing.sweep_tv and not (batch.as_json or batch.quiet):
            print_table(error_table(rows, reconstruction.engine.bundle.name))
    raise typer.Exit(code)


def _load(computing: ComputingInTiles, options: ReconstructionOptions) -> Reconstruction:
    """Load the network, and check now that it has what the options name.

    Raises:
        UsageError: It lacks something, or a layer is too deep for the size of the images.
    """
    from nstbatch.runtime.systems.reconstruction import Reconstruction

    reconstruction = Reconstruction(computing.model, **computing.place)
    engine = reconstruction.engine
    engine.bundle.graph_path("gradient", options.pooling)
    names = [layer.name for layer in reconstruction.layers(options)]
    smallest, layer = engine.limits.largest_need(names, options.pooling)
    if options.size != OWN and options.size < smallest:
        raise UsageError(
            f"The size must be at least {smallest} for {layer}, not {options.size}; "
            "enlarge it, or choose --layers."
        )
    return reconstruction


def _painter(reconstruction: Reconstruction, options: ReconstructionOptions) -> Painter:
    from nstbatch.cli.jobs.painting import Painting
    from nstbatch.cli.report.reconstruction_report import layer_losses, record
    from nstbatch.runtime.descent.loop import StopReason
    from nstbatch.runtime.systems.reconstruction_sheet import reconstruction_sheet

    model = reconstruction.engine.bundle.name

    def paint(job: Job, progress: ProgressCallback, stop: Stop) -> Painting:
        result = reconstruction(job.file, options, progress=progress, stop=stop)
        if result.reason is StopReason.NON_FINITE:
            raise NonFiniteError(f"{result.layers[-1].layer}: {result.reason.value}")
        check_finished(result.reason)
        text = json.dumps(record(job.input, model, result, options), indent=1, allow_nan=False)
        return Painting(
            reconstruction_sheet(result, f"{printable(job.input.name)}, {model}"),
            None,
            layer_losses(result),
            result.steps,
            result.provider,
            result.precision,
            companions={".json": f"{text}\n".encode()},
        )

    return paint
