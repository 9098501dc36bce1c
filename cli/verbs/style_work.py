"""The work of ``nstbatch stylize``, whatever its method."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from nstbatch.cli.batch.painted import painting_of
from nstbatch.cli.exit_codes import DONE, FAILED
from nstbatch.cli.jobs.effort import effort_of_photos
from nstbatch.cli.jobs.parameters import Setting
from nstbatch.cli.options.computing import ComputingTogether
from nstbatch.cli.options.methods import NNST, OTHERS
from nstbatch.cli.options.stylize import Stylizing
from nstbatch.cli.output.style_sheet import NAME as SHEET
from nstbatch.cli.parsing.refusal import refuse
from nstbatch.cli.text import printable
from nstbatch.runtime.errors import ImageError, UsageError
from nstbatch.runtime.style.nearest_neighbor_options import NearestNeighborOptions
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions

from .carry_out import Work
from .prepare import BatchOptions, find_photos, plan_of, read_picture, share

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import typer

    from nstbatch.cli.jobs.painting import Painter, Painting, Stop
    from nstbatch.cli.jobs.plan import Job, Plan
    from nstbatch.cli.jobs.search import Search
    from nstbatch.cli.options.methods import Method
    from nstbatch.runtime.descent.progress import ProgressCallback
    from nstbatch.runtime.objectives.terms import Objective
    from nstbatch.runtime.pictures.images import Picture
    from nstbatch.runtime.style.paintings import Style, StyleLike
    from nstbatch.runtime.style.regions import Masks
    from nstbatch.runtime.systems.style_system import StyleSystem

# Styles in memory: one style after another is painted, and the next may have begun.
KEPT_STYLES = 2

Options = TypeVar("Options", StyleTransferOptions, NearestNeighborOptions)


def style_painting(
    context: typer.Context,
    style: list[Path],
    stylizing: Stylizing,
    computing: ComputingTogether,
    batch: BatchOptions,
) -> StylePainting[Any]:
    """Read the styles of a command for its method; a UsageError for options of another method."""
    method = cast("Method", stylizing.method)
    why = "does not go with" if method == NNST else "goes only with"
    refuse(context, OTHERS[method], f"{why} --method {NNST}")
    given = (style, stylizing, computing, batch)
    if method == NNST:
        from nstbatch.runtime.systems.nearest_neighbor_style import NearestNeighborStyle

        return StylePainting(NearestNeighborStyle, stylizing.nearest_neighbor_options, *given)
    from nstbatch.runtime.systems.style_transfer import StyleTransfer

    return StylePainting(StyleTransfer, stylizing.options, *given)


class StylePainting(Generic[Options]):
    """The pictures and options that every photo of a command is painted with.

    Attributes:
        styles: The styles.
        keep: The files that no picture may overwrite.
    """

    def __init__(
        self,
        system: Callable[..., StyleSystem[Options]],
        options: Options,
        style: list[Path],
        stylizing: Stylizing,
        computing: ComputingTogether,
        batch: BatchOptions,
    ) -> None:
        """Read the pictures, and load no network yet."""
        path = stylizing.init_path
        self._system: Callable[..., StyleSystem[Options]] = system
        self._options: Options = options
        self._computing: ComputingTogether = computing
        self._batch: BatchOptions = batch
        self._init_path: Path | None = path
        self.styles: Styles = Styles(style, options.style_reading_size, stylizing, batch)
        self._init: Picture | None = (
            read_picture(path, "the --init image", options.size) if path else None
        )
        self.keep: list[Path] = self.styles.keep if path is None else [*self.styles.keep, path]

    def find(self, inputs: list[Path] | None) -> Plan:
        """Return the plan of the photos in the inputs; see :func:`.prepare.find_photos`."""
        plan = find_photos(inputs, self._batch, keep=self.keep, styles=self.styles.each)
        return self.styles.masked(plan)

    def plan(self, search: Search) -> Plan:
        """Return the plan of a search, which may be empty; see :func:`.prepare.plan_of`."""
        plan = plan_of(search, self._batch, keep=self.keep, styles=self.styles.each)
        return self.styles.masked(plan)

    def work(self, plan: Plan) -> Work:
        """Load the network, and return what is to be painted."""
        from nstbatch.runtime.objectives.tiled_losses import have_tiles

        options, computing = self._options, self._computing
        transfer = self._system(computing.model, **computing.place)
        objective = _objective(transfer, options)
        if self.styles.blend:
            _check_style(transfer, self.styles, options)
        memory = partial(transfer.peak_memory, options)
        work = partial(transfer.work, options)
        effort = effort_of_photos(options.size, options.max_size, options.iterations, memory, work)
        return Work(
            plan,
            _painter(transfer, self.styles, self._init, options),
            engines=[transfer.engine],
            sources={**self.styles.sources, "init": self._init_path},
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
