"""``nstbatch stylize``: photos in the style of a picture."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nstbatch.cli.options.computing import ComputingTogether
from nstbatch.cli.options.reporting import StepReporting
from nstbatch.cli.options.selection import Inputs, Selection
from nstbatch.cli.options.stylize import DEFAULT_OUT, Style, Stylizing
from nstbatch.cli.options.with_groups import with_groups
from nstbatch.cli.options.writing import PhotoWriting
from nstbatch.cli.text import printable
from nstbatch.runtime.errors import ImageError, UsageError

from .batch_verb import batch_options
from .carry_out import Work, carry_out
from .efforts import effort_of_photos
from .prepare import BatchOptions, find_photos, painting_of, read_picture, share

if TYPE_CHECKING:
    from nstbatch.cli.jobs.painting import Painter, Painting, Stop
    from nstbatch.cli.jobs.plan import Job
    from nstbatch.runtime.descent.progress import ProgressCallback
    from nstbatch.runtime.pictures.images import Picture
    from nstbatch.runtime.systems.style_transfer import StyleTransfer
    from nstbatch.runtime.systems.style_transfer_options import StyleTransferOptions


@with_groups
def stylize(
    context: typer.Context,
    style: Style,
    inputs: Inputs = None,
    selection: Selection = Selection(DEFAULT_OUT),
    stylizing: Stylizing = Stylizing(),
    computing: ComputingTogether = ComputingTogether(),
    writing: PhotoWriting = PhotoWriting(),
    reporting: StepReporting = StepReporting(),
) -> None:
    """Paint photos in the style of a picture.

    Prints the path of each new picture, or with --json one line for each photo.
    Messages go to standard error. Pictures that are already there are skipped.

    Exit codes: 0 all done or already there, 1 some failed, 2 wrong usage,
    3 no photo found, 130 interrupted.
    """
    batch = batch_options(context, selection, writing, reporting)
    options, init_path = stylizing.options, stylizing.init_path
    style_picture = _style(style, stylizing, batch)
    init_picture = read_picture(init_path, "the --init image", options.size) if init_path else None
    plan = find_photos(inputs, batch, keep=[style, init_path] if init_path else [style])
    transfer = _load(computing, options)
    _check_style(transfer, style, style_picture, options)
    objective = transfer.objective(options)
    memory = partial(transfer.peak_memory, options)
    effort = effort_of_photos(options.size, options.max_size, options.iterations, memory)
    work = Work(
        plan,
        _painter(transfer, style_picture, init_picture, options),
        engines=[transfer.engine],
        sources={"style": style, "init": init_path},
        effort=effort,
        at_once=share(
            transfer.engine,
            computing.together,
            objective,
            options.optimizer,
            options.pooling,
            effort.largest([job.file for job in plan.jobs]),
        ),
    )
    raise typer.Exit(carry_out(work, batch))


def _style(path: Path, stylizing: Stylizing, batch: BatchOptions) -> Picture:
    """Read the style, and cut a plain frame off it if asked; say so."""
    picture = read_picture(path, "the style", stylizing.size)
    if not stylizing.trims_style:
        return picture
    from nstbatch.runtime.pictures.frame import without_frame

    trimmed, frame = without_frame(picture)
    if frame and not batch.quiet:
        print(
            f"nstbatch: A plain frame was cut off {printable(path)}: "
            f"{frame.shares(*picture.pixels.shape[:2])}. With --trim-style off it stays.",
            file=sys.stderr,
        )
    return trimmed


def _load(computing: ComputingTogether, options: StyleTransferOptions) -> StyleTransfer:
    """Load the network, and check now that it has what the options name."""
    from nstbatch.runtime.engine.network_facts import check_graph
    from nstbatch.runtime.systems.style_transfer import StyleTransfer

    transfer = StyleTransfer(computing.model, **computing.place)
    transfer.objective(options)
    check_graph(transfer.engine.bundle, "gradient", options.pooling)
    return transfer


def _check_style(
    transfer: StyleTransfer, path: Path, style: Picture, options: StyleTransferOptions
) -> None:
    """Raise a UsageError for a style that would fail with every photo."""
    try:
        transfer.check_style(style, options)
    except ImageError as error:
        raise UsageError(f"{printable(path)} cannot be the style: {error}") from error


def _painter(
    transfer: StyleTransfer, style: Picture, init: Picture | None, options: StyleTransferOptions
) -> Painter:
    def paint(job: Job, progress: ProgressCallback, stop: Stop) -> Painting:
        result = transfer(
            job.file,
            style,
            options,
            init_image=init,
            checkpoint=job.checkpoint,
            progress=progress,
            stop=stop,
        )
        return painting_of(result)

    return paint
