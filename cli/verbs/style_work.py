"""The work of ``nstbatch stylize``, whatever its method."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nstbatch.cli.jobs.effort import effort_of_photos
from nstbatch.cli.options.computing import ComputingTogether
from nstbatch.cli.options.stylize import Stylizing
from nstbatch.cli.text import printable
from nstbatch.runtime.errors import ImageError, UsageError
from nstbatch.runtime.systems.nearest_neighbor_options import NearestNeighborOptions
from nstbatch.runtime.systems.style_transfer_options import StyleTransferOptions

from .carry_out import Work
from .prepare import BatchOptions, find_photos, painting_of, read_picture, share

if TYPE_CHECKING:
    from collections.abc import Callable

    from nstbatch.cli.jobs.painting import Painter, Painting, Stop
    from nstbatch.cli.jobs.plan import Job
    from nstbatch.runtime.descent.progress import ProgressCallback
    from nstbatch.runtime.objectives.terms import Objective
    from nstbatch.runtime.pictures.images import Picture
    from nstbatch.runtime.systems.style_system import StyleSystem

Options = TypeVar("Options", StyleTransferOptions, NearestNeighborOptions)


def style_work(
    system: Callable[..., StyleSystem[Options]],
    options: Options,
    style: Path,
    inputs: list[Path] | None,
    stylizing: Stylizing,
    computing: ComputingTogether,
    batch: BatchOptions,
) -> Work:
    """Read the pictures, load the network, and return what is to be painted."""
    init_path = stylizing.init_path
    style_picture = _style(style, stylizing, batch)
    init_picture = read_picture(init_path, "the --init image", options.size) if init_path else None
    plan = find_photos(inputs, batch, keep=[style, init_path] if init_path else [style])
    transfer = system(computing.model, **computing.place)
    objective = _objective(transfer, options)
    _check_style(transfer, style, style_picture, options)
    memory = partial(transfer.peak_memory, options)
    effort = effort_of_photos(options.size, options.max_size, options.iterations, memory)
    return Work(
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


def _objective(transfer: StyleSystem[Options], options: Options) -> Objective:
    """Return the objective; check now that the network has what the options name."""
    from nstbatch.runtime.engine.network_facts import check_graph

    objective = transfer.objective(options)
    check_graph(transfer.engine.bundle, "gradient", options.pooling)
    return objective


def _check_style(
    transfer: StyleSystem[Options], path: Path, style: Picture, options: Options
) -> None:
    """Raise a UsageError for a style that would fail with every photo."""
    try:
        transfer.check_style(style, options)
    except ImageError as error:
        raise UsageError(f"{printable(path)} cannot be the style: {error}") from error


def _painter(
    transfer: StyleSystem[Options], style: Picture, init: Picture | None, options: Options
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
