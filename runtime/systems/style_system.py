"""The systems that paint a photo in a style: how they are called, and what they read and check."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Generic, TypeVar

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.checks import options_or_default
from nstbatch.runtime.descent.progress import ProgressCallback
from nstbatch.runtime.descent.pyramid import FACTOR, MARGIN, Level, plan_levels
from nstbatch.runtime.errors import ImageError, UsageError
from nstbatch.runtime.needs.work import BESIDE_STEPS, pixels_of_steps
from nstbatch.runtime.objectives.terms import Objective
from nstbatch.runtime.pictures.images import ImageLike, Picture, as_picture
from nstbatch.runtime.pictures.sizes import long_side
from nstbatch.runtime.style.color_modes import before_run, paintings_before_run
from nstbatch.runtime.style.finish import finished
from nstbatch.runtime.style.nearest_neighbor_options import NearestNeighborOptions
from nstbatch.runtime.style.paintings import Painting, StyleLike, read_paintings
from nstbatch.runtime.style.regions import Masks, Regions, read_weights, regions_of_photo
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions

from .streams import Made, Stop, stream
from .system import Result, Run, System

Options = TypeVar("Options", StyleTransferOptions, NearestNeighborOptions)


# Sizes, if the options give no number: from 181 to 512 pixels. style-transfer-pytorch works from
# 128 to 512, by the same factor.
SCALES = 4


@dataclass(frozen=True, eq=False)
class Given:
    """The pictures of a call.

    Attributes:
        photo: The photo.
        paintings: The paintings of the style.
        style_scale: Their long side, as a multiple of the picture's.
        regions: The regions of the photo that get a style; empty for the whole photo.
        content_weights: Where the photo's content counts, (H, W) in [0, 1]; None for everywhere.
        start: (H, W, 3) of the picture to start from.
        checkpoint: A file to keep the run in; None to keep it nowhere.
    """

    photo: Picture
    paintings: Sequence[Painting]
    style_scale: float
    regions: Regions
    content_weights: Array | None
    start: Array
    checkpoint: str | os.PathLike[str] | None

    @property
    def identity(self) -> tuple[object, ...]:
        """Everything here that tells one run from another."""
        paintings = (
            part
            for each in self.paintings
            for part in (each.share, each.pixels, *(each.regions or {}).values())
        )
        masks = (*self.regions, *self.regions.values(), self.content_weights)
        return self.photo.pixels, *paintings, self.style_scale, *masks, self.start


class StyleSystem(System, Generic[Options]):
    """A bundle on a device, ready to paint; photos of the same shape share their sessions."""

    level_factor: ClassVar[float] = FACTOR
    """Ratio of the sizes of two successive levels."""
    level_power: ClassVar[float] = 0.0
    """Steps per level are proportional to (long side)^power."""
    few_above: ClassVar[int | None] = None
    """Long side in pixels above which a level has few steps; see :func:`plan_levels`."""
    coarsest: ClassVar[int] = 1
    """Smallest long side of a level in pixels, if the options give no number of scales."""

    @property
    @abstractmethod
    def options_class(self) -> type[Options]:
        """The class of the options."""

    @abstractmethod
    def objective(self, options: Options) -> Objective:
        """Return the weighted terms of the options; UnknownNameError for an unknown layer."""

    @abstractmethod
    def peak_memory(
        self, options: Options, shape: tuple[int, int], pictures: int = 1
    ) -> int | None:
        """Return the estimated peak of this process's memory; see :mod:`.style_transfer`."""

    def work(self, options: Options, shape: tuple[int, int]) -> float:
        """Return the pixels that a run goes through, the overlap of tiles included.

        Args:
            options: Size, steps, layers.
            shape: Height and width of the picture.
        """
        layers, engine = self.objective(options).layers, self.engine
        levels = self._levels_of_picture(shape, layers, options)
        sizes = [(level.canvas, level.steps + BESIDE_STEPS) for level in levels]
        return pixels_of_steps(sizes, engine.tile_size, engine.bundle, layers, options.pooling)

    @abstractmethod
    def _run(
        self,
        given: Given,
        levels: list[Level],
        objective: Objective,
        options: Options,
    ) -> Run:
        """Describe the run over these sizes of pictures."""

    def __call__(
        self,
        photo: ImageLike,
        style: StyleLike,
        options: Options | None = None,
        *,
        init_image: ImageLike | None = None,
        masks: Masks | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        progress: ProgressCallback | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Result:
        """Paint a photo.

        Args:
            photo: A path, or an array (H, W, 3), RGB in [0, 1].
            style: The painting, likewise; or several, as a tuple or list of pictures and of
                :class:`nstbatch.runtime.style.paintings.Style`, whose styles are blended.
            options: The options; the defaults if None.
            init_image: The start, with ``init="image"``.
            masks: The regions of the photo that have styles of their own, and where its content
                counts.
            checkpoint: A file to save the run to, once a minute, and to resume from if it holds
                this run; it is removed when the run is finished.
            progress: Called after every step.
            stop: Called before every step; True ends the run.

        A loss that is not finite raises no error: the result has the last picture before it, and
        gives the ``reason``.

        Raises:
            UnknownNameError: The options name a layer that the bundle lacks; lists those it has.
            UsageError: ``init_image`` and ``options.init`` contradict each other, or no style or
                no style layer has a weight.
            ImageError: A picture cannot be read, is too small for the layers, or is an array of
                another kind; or a mask does not fit its picture, or has a region that no style has.
        """
        options = options_or_default(options, self.options_class)
        plan = partial(self.plan, photo, style, options, init_image, masks, checkpoint)
        with self.engine.in_fp32() if self.needs_fp32(options) else nullcontext():
            return self._carry_out(plan, progress, stop)

    def map(
        self,
        photos: Iterable[ImageLike],
        style: StyleLike,
        options: Options | None = None,
        *,
        together: int = 1,
        in_order: bool = True,
    ) -> Generator[Made[ImageLike, Result]]:
        """Paint many photos in one style; see :func:`.streams.stream`.

        Args:
            photos: The source.
            style: See :meth:`__call__`.
            options: The options; the defaults if None.
            together: Largest number of photos to step as one batch; see
                :meth:`nstbatch.runtime.engine.engine.Engine.share`. Twice as many are worked on.
            in_order: See :func:`.streams.stream`.

        Raises:
            UnknownNameError, UsageError: See :meth:`__call__`; or ``together`` is no whole number
                above 0.
            ImageError: A style cannot be read.
        """
        chosen = options_or_default(options, self.options_class)
        self.check_style(style, chosen)
        self.engine.share(together)

        def paint(photo: ImageLike, stop: Stop) -> Result:
            return self(photo, style, chosen, stop=stop)

        return stream(paint, photos, at_once=2 * together, in_order=in_order)

    def needs_fp32(self, options: Options) -> bool:
        """Return True if a picture is computed in fp32, whatever the precision of the engine."""
        return False

    def least_side(self, options: Options) -> int:
        """Return the smallest side of a picture, in pixels, that the style loss accepts."""
        return 0

    def check_style(self, style: StyleLike, options: Options) -> None:
        """Raise the ImageError of any photo: a style cannot be read, or is too small for a layer.

        Raises:
            UsageError: No style has a weight.
        """
        self._paintings(style, self.objective(options).layers, options)

    def _paintings(
        self, style: StyleLike, layers: Sequence[str], options: Options
    ) -> list[Painting]:
        paintings = read_paintings(style, options.style_reading_size)
        for each in paintings:
            self.engine.limits.check_side("style", each.pixels.shape, layers, options.pooling)
            self._check_style_loss("style", each.pixels.shape, options)
        return paintings

    def plan(
        self,
        photo: ImageLike,
        style: StyleLike,
        options: Options,
        init_image: ImageLike | None = None,
        masks: Masks | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Run:
        """Read the pictures and describe the run; see :meth:`__call__`."""
        if (options.init == "image") != (init_image is not None):
            raise UsageError("An init_image goes with init='image', and with nothing else.")
        objective, size = self.objective(options), options.size
        picture = as_picture(photo, size)
        start = picture.pixels if init_image is None else as_picture(init_image, size).pixels
        levels = self._levels(picture.pixels, objective.layers, options)
        paintings = self._paintings(style, objective.layers, options)
        scale = options.style_scale_for(max(levels[-1].height, levels[-1].width))
        of_styles = [each.regions for each in paintings]
        regions = regions_of_photo(masks, picture.pixels.shape, of_styles)
        content = None if masks is None else masks.content
        weights = None if content is None else read_weights(content, picture.pixels.shape)
        seen, color = picture.pixels, options.color
        given = Given(
            replace(picture, pixels=before_run(color, seen)),
            paintings_before_run(color, paintings, seen),
            scale,
            regions,
            weights,
            before_run(color, start),
            checkpoint,
        )
        run = self._run(given, levels, objective, options)
        return replace(
            run,
            finish=lambda images: finished(options, run.finish(images), given.paintings, seen),
        )

    def _levels(self, photo: Array, layers: Sequence[str], options: Options) -> list[Level]:
        """Plan the sizes; an ImageError if the photo is too small for a layer."""
        height, width, _ = photo.shape
        levels = self._plan((height, width), layers, options)
        finest = (levels[-1].height, levels[-1].width)
        self.engine.limits.check_picture((height, width), finest, layers, options.pooling)
        self._check_style_loss("picture at the size asked for", finest, options)
        return levels

    def _plan(self, photo: tuple[int, int], layers: Sequence[str], options: Options) -> list[Level]:
        """Plan the sizes for a photo of a height and width."""
        height, width = photo
        return plan_levels(
            height,
            width,
            size=long_side(height, width, options.size, options.max_size),
            scales=options.scales or SCALES,
            steps=options.iterations,
            smallest=self._smallest(layers, options),
            coarsest=1 if options.scales else self.coarsest,
            margin=MARGIN if options.padding == "zeros" else 0.0,
            least_margin=0 if options.padding == "zeros" else self.engine.bundle.unseen,
            factor=self.level_factor,
            power=self.level_power,
            few_above=self.few_above,
        )

    def _levels_of_picture(
        self, shape: tuple[int, int], layers: Sequence[str], options: Options
    ) -> list[Level]:
        """Plan the sizes for a picture of a height and width, whatever the size of its photo."""
        return self._plan(shape, layers, replace(options, size=max(shape)))

    def _smallest(self, layers: Sequence[str], options: Options) -> int:
        """Return the smallest side of a picture that all layers and the style loss accept."""
        side, _ = self.engine.limits.largest_need(layers, options.pooling)
        return max(side, self.least_side(options))

    def _check_style_loss(self, what: str, size: tuple[int, ...], options: Options) -> None:
        """Raise an ImageError if a picture is too small for the style loss."""
        height, width, *_ = size
        least = self.least_side(options)
        if min(height, width) < least:
            raise ImageError(
                f"The {what} is {width}x{height} pixels; "
                f"its style loss needs at least {least} on each side."
            )
