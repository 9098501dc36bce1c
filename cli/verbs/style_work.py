"""The work of ``nstbatch stylize``, whatever its method."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nstbatch.cli.batch.painted import painting_of
from nstbatch.cli.exit_codes import DONE, FAILED
from nstbatch.cli.jobs.effort import effort_of_photos
from nstbatch.cli.jobs.parameters import Setting
from nstbatch.cli.options.computing import ComputingTogether
from nstbatch.cli.options.stylize import Stylizing
from nstbatch.cli.output.style_sheet import NAME as SHEET
from nstbatch.cli.text import printable
from nstbatch.runtime.errors import ImageError, UsageError
from nstbatch.runtime.style.nearest_neighbor_options import NearestNeighborOptions
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions

from .carry_out import Work
from .prepare import BatchOptions, find_photos, read_picture, share

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nstbatch.cli.jobs.painting import Painter, Painting, Stop
    from nstbatch.cli.jobs.plan import Job, Plan
    from nstbatch.runtime.descent.progress import ProgressCallback
    from nstbatch.runtime.objectives.terms import Objective
    from nstbatch.runtime.pictures.images import Picture
    from nstbatch.runtime.style.paintings import Style, StyleLike
    from nstbatch.runtime.style.regions import Masks
    from nstbatch.runtime.systems.style_system import StyleSystem

# Styles in memory: one style after another is painted, and the next may have begun.
KEPT_STYLES = 2

Options = TypeVar("Options", StyleTransferOptions, NearestNeighborOptions)


def style_work(
    system: Callable[..., StyleSystem[Options]],
    options: Options,
    style: list[Path],
    inputs: list[Path] | None,
    stylizing: Stylizing,
    computing: ComputingTogether,
    batch: BatchOptions,
) -> Work:
    """Read the pictures, load the network, and return what is to be painted."""
    from nstbatch.runtime.objectives.tiled_losses import have_tiles

    init_path = stylizing.init_path
    styles: Styles = Styles(style, options.style_reading_size, stylizing, batch)
    init_picture = read_picture(init_path, "the --init image", options.size) if init_path else None
    keep = styles.keep if init_path is None else [*styles.keep, init_path]
    plan = styles.masked(find_photos(inputs, batch, keep=keep, styles=styles.each))
    transfer = system(computing.model, **computing.place)
    objective = _objective(transfer, options)
    if styles.blend:
        _check_style(transfer, styles, options)
    memory = partial(transfer.peak_memory, options)
    effort = effort_of_photos(options.size, options.max_size, options.iterations, memory)
    return Work(
        plan,
        _painter(transfer, styles, init_picture, options),
        engines=[transfer.engine],
        sources={**styles.sources, "init": init_path},
        effort=effort,
        at_once=share(
            transfer.engine,
            computing.together,
            objective,
            options.optimizer,
            options.pooling,
            effort.largest([job.file for job in plan.jobs]),
        ),
        budget=computing.budget(has_tiles=have_tiles(objective.terms)),
    )


def finish_sheet(work: Work, code: int, batch: BatchOptions) -> None:
    """Write the sheet of a batch of all photos in all styles, unless it was interrupted."""
    everything = (*work.plan.jobs, *work.plan.others)
    crossed = [job for job in everything if "style" in job.sources]
    if batch.dry_run or not crossed or code not in (DONE, FAILED):
        return
    from nstbatch.cli.output.style_sheet import write_sheet

    sheet = write_sheet(batch.out, crossed)
    if sheet and not batch.quiet:
        print(f"the sheet is {printable(sheet)}", file=sys.stderr)


class Styles:
    """The styles of a batch: one blend for all photos, or each by itself."""

    def __init__(
        self, given: list[Path], size: int | str, stylizing: Stylizing, batch: BatchOptions
    ) -> None:
        """Find the files, and read those of a blend.

        Args:
            given: The values of ``--style``.
            size: The size that the styles are seen at; see :func:`.prepare.read_picture`.
            stylizing: The other options.
            batch: The options of the batch.

        Raises:
            UsageError: A style of the blend cannot be read, or ``--each-style`` cannot be followed.
        """
        from nstbatch.cli.jobs.mask_files import masks_of_styles
        from nstbatch.cli.jobs.style_files import style_files
        from nstbatch.runtime.style.paintings import Style

        self.files: list[tuple[Path, float]] = style_files(given)
        self.paths: list[Path] = [path for path, _ in self.files]
        self.each: list[Path] = self.paths if stylizing.each_style else []
        if self.each:
            _check_each(self.files, batch)
        self._of_photo = {"mask": stylizing.mask, "content_mask": stylizing.content_mask}
        self._masks = masks_of_styles(self.paths, stylizing.style_mask or [])
        others = (*self._masks, *self._of_photo.values(), batch.out / SHEET if self.each else None)
        self.keep = [*self.paths, *(path for path in others if path is not None)]
        self._read = lru_cache(KEPT_STYLES)(partial(_style, size, stylizing.trims_style, batch))
        self.blend: tuple[Style, ...] = tuple(
            Style(self._usable(path), weight, mask)
            for (path, weight), mask in zip(self.files, self._masks, strict=True)
            if not self.each
        )

    @property
    def sources(self) -> dict[str, Sequence[tuple[Path, float]] | None]:
        """The files of the blend, by the names of their options."""
        masks = [(mask, 1.0) for mask in self._masks if mask]
        return {} if self.each else {"style": self.files, "style_mask": masks}

    def masked(self, plan: Plan) -> Plan:
        """Return a plan with the masks of each job among its sources, and in its recipe."""
        return replace(plan, jobs=tuple(map(self._masked, plan.jobs)))

    def _masked(self, job: Job) -> Job:
        from nstbatch.cli.jobs.mask_files import mask_of

        of_photo = {
            name: mask_of(job.input, given) for name, given in self._of_photo.items() if given
        }
        own = self._mask(job.sources["style"]) if self.each else None
        of_style = {} if own is None else {"style_mask": own}
        texts: dict[str, Setting] = {name: str(path) for name, path in of_photo.items()}
        texts |= {name: [str(path)] for name, path in of_style.items()}
        sources = {**job.sources, **of_photo, **of_style}
        return replace(job, sources=sources, settings={**job.settings, **texts})

    def of(self, job: Job) -> StyleLike:
        """Return the style of a job's picture; an ImageError if it cannot be read."""
        from nstbatch.runtime.style.paintings import Style

        if not self.each:
            return self.blend
        path = job.sources["style"]
        return Style(self._read(path), mask=self._mask(path))

    def _mask(self, style: Path) -> Path | None:
        return self._masks[self.paths.index(style)]

    def masks(self, job: Job) -> Masks:
        """Return the masks of a job's photo."""
        from nstbatch.runtime.style.regions import Masks

        return Masks(job.sources.get("mask"), job.sources.get("content_mask"))

    def _usable(self, path: Path) -> Picture:
        try:
            return self._read(path)
        except ImageError as error:
            raise UsageError(str(error)) from error


def _check_each(files: Sequence[tuple[Path, float]], batch: BatchOptions) -> None:
    """Raise a UsageError for what does not go with ``--each-style``."""
    if len({weight for _, weight in files}) > 1:
        raise UsageError("With --each-style the styles are not blended, so they take no weights.")
    if batch.alone is not None:
        raise UsageError("--each-style does not go with the one picture of --out.")


def _style(size: int | str, trims: bool, batch: BatchOptions, path: Path) -> Picture:
    """Read a style, and cut a plain frame off it if asked; say so.

    Raises:
        ImageError: It cannot be read; names it.
    """
    from nstbatch.runtime.pictures.images import as_picture

    try:
        picture = as_picture(path, size)
    except ImageError as error:
        raise ImageError(f"{printable(path)} cannot be the style: {error}") from error
    if not trims:
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
    from nstbatch.runtime.needs.network_facts import check_graph

    objective = transfer.objective(options)
    check_graph(transfer.engine.bundle, "gradient", options.pooling)
    return objective


def _check_style(transfer: StyleSystem[Options], styles: Styles, options: Options) -> None:
    """Raise a UsageError for a style that would fail with every photo."""
    try:
        transfer.check_style(styles.blend, options)
    except ImageError as error:
        names = ", ".join(map(printable, styles.paths))
        raise UsageError(f"{names} cannot be the style: {error}") from error


def _painter(
    transfer: StyleSystem[Options],
    styles: Styles,
    init: Picture | None,
    options: Options,
) -> Painter:
    def paint(job: Job, progress: ProgressCallback, stop: Stop) -> Painting:
        result = transfer(
            job.file,
            styles.of(job),
            options,
            init_image=init,
            masks=styles.masks(job),
            checkpoint=job.checkpoint,
            progress=progress,
            stop=stop,
        )
        return painting_of(result)

    return paint
