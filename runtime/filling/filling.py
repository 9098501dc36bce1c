"""Filling: a hole of a picture, or its seams, made of the picture's own patches.

From coarse to fine, each patch of the hole is replaced by the one of the picture that fits best.
The network finds it by what surrounds it, and pixels settle the place. Everything outside the hole
stays as it is. The result says where each pixel comes from, so further maps can follow::

    filling = Filling("vgg16", device="auto")
    result = filling("wall.png", "hole.png")
    result.image  # (H, W, 3) float32, RGB in [0, 1]
    result.field.apply(normals)  # (H, W, C), filled in the same way
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.checks import options_or_default
from nstbatch.runtime.descent.progress import Progress, ProgressCallback
from nstbatch.runtime.engine.engine import Engine
from nstbatch.runtime.engine.nearest import layers_of_columns
from nstbatch.runtime.engine.opened import Opened
from nstbatch.runtime.errors import ImageError, StoppedError
from nstbatch.runtime.objectives.hypercolumns import matched_columns
from nstbatch.runtime.objectives.terms import Term
from nstbatch.runtime.pictures.images import ImageLike, Picture, as_picture
from nstbatch.runtime.pictures.made_picture import MadePicture
from nstbatch.runtime.pictures.sizes import resize, to_nchw

from .field import Field
from .filling_options import FillingOptions
from .matching import matched
from .patches import SIDE, Corners, Ground
from .peeling import peeled

# Long side of the coarsest size, at most: there a patch is a tenth of the picture. A guess.
COARSEST = 128

# Above this long side the network is not asked; the place is known from the size before, and the
# columns of a larger picture would take gigabytes.
LARGEST_ASKED = 512

# Pixels of a tile beyond its edges that the network sees; more than shallow layers look at once.
MARGIN = 32


@dataclass(frozen=True, kw_only=True)
class Filled(MadePicture):
    """A picture without its hole, and how it was made."""

    image: Array
    """(H, W, 3), RGB in [0, 1]; outside the hole, the picture's own pixels."""
    alpha: Array | None
    """(H, W): the picture's own; None for an opaque picture, or one whose holes are filled."""
    field: Field
    """Where the pixels come from; fills further maps in the same way."""
    steps: int
    """Number of searches."""
    seconds: float
    provider: str
    precision: str


class Filling(Opened):
    """A bundle on a device, ready to fill holes; pictures of one size share their sessions."""

    def __init__(
        self,
        model: str | os.PathLike[str] = "vgg16",
        *,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
    ) -> None:
        """Choose a bundle and a device; see :class:`nstbatch.runtime.engine.engine.Engine`."""
        self.engine = Engine(model, device=device, precision=precision, threads=threads)

    def __call__(
        self,
        picture: ImageLike,
        hole: ImageLike | None = None,
        options: FillingOptions | None = None,
        *,
        progress: ProgressCallback | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Filled:
        """Fill a hole.

        Args:
            picture: A path, or an array (H, W, 3), RGB in [0, 1].
            hole: A picture of the same size, white where pixels are to be made; None for the
                transparent pixels of the picture.
            options: The options; the defaults if None.
            progress: Called after every search.
            stop: Called before every search; True ends the run.

        Raises:
            UnknownNameError: The options name a layer that the bundle lacks; lists those it has.
            ImageError: A picture cannot be read, is too small, has another size than its hole, or
                no hole, or nothing else.
            StoppedError: ``stop`` said so.
        """
        options = options_or_default(options, FillingOptions)
        read = as_picture(picture)
        ground = Ground(_hole_of(read, hole))
        alpha = None if hole is None else read.alpha
        return self._filled(read.pixels, alpha, ground, options, progress, stop)

    def tiled(
        self,
        picture: ImageLike,
        options: FillingOptions | None = None,
        *,
        progress: ProgressCallback | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Filled:
        """Make a picture continue at its opposite edges: a band across them is made anew.

        The arguments and errors are those of :meth:`__call__`. Transparency becomes opaque.
        """
        options = options_or_default(options, FillingOptions)
        pixels = as_picture(picture).pixels
        height, width, _ = pixels.shape
        half = max(1, round(options.seam * min(height, width) / 2))
        hole = np.ones((height, width), np.bool_)
        hole[half : height - half, half : width - half] = False
        return self._filled(pixels, None, Ground(hole, tiles=True), options, progress, stop)

    def check(self, options: FillingOptions) -> None:
        """Raise the errors of any picture: UnknownNameError for a layer that the bundle lacks."""
        self._term(options)

    def _filled(
        self,
        pixels: Array,
        alpha: Array | None,
        finest: Ground,
        options: FillingOptions,
        progress: ProgressCallback | None,
        stop: Callable[[], bool] | None,
    ) -> Filled:
        started = time.perf_counter()
        plan = self._plan(finest, options)
        random = np.random.default_rng(options.seed)
        image, field = pixels, cast("Field | None", None)
        for step, ground in enumerate(plan):
            if stop is not None and stop():
                raise StoppedError
            if field is None:
                image = peeled(_at(pixels, finest, ground), ground)
            elif field.ground is not ground:
                image = _enlarged(_at(pixels, finest, ground), image, field, ground)
            starts = self._asked(image, ground, options)
            if field is not None:
                starts.append(field.enlarged(ground))
            field = matched(image, ground, starts, random)
            image = field.apply(image)
            if progress is not None:
                progress(_progress(plan, step, image))
        assert field is not None
        return Filled(
            image=field.apply(pixels),
            alpha=alpha,
            field=field,
            steps=len(plan),
            seconds=time.perf_counter() - started,
            provider=self.engine.provider.device,
            precision="fp32",
        )

    def _plan(self, finest: Ground, options: FillingOptions) -> list[Ground]:
        """Return the places of every search, from coarse to fine; an ImageError for none.

        A size is left out if the network cannot see it, or nothing of the picture is left there.
        """
        layers = list(self._term(options).layers)
        height, width = finest.hole.shape
        self.engine.limits.check_side("picture", (height, width), layers, options.pooling)
        if min(height, width) < SIDE or not finest.whole.any():
            raise ImageError(f"The hole leaves no patch of {SIDE}x{SIDE} pixels to copy from.")
        smallest, _ = self.engine.limits.largest_need(layers, options.pooling)
        coarser: list[Ground] = []
        scale = 2
        while max(height, width) * 2 > COARSEST * scale:
            size = round(height / scale), round(width / scale)
            if min(size) < max(smallest, 2 * SIDE):
                break
            hole = resize(finest.hole.astype(np.float32), size) > 0
            ground = Ground(hole, finest.tiles)
            if ground.whole.any():
                coarser = [ground] * options.iterations + coarser
            scale *= 2
        last = -(-options.iterations // 2) if coarser else options.iterations
        return coarser + [finest] * last

    def _asked(self, image: Array, ground: Ground, options: FillingOptions) -> list[Corners]:
        """Return sources by the network's columns: a list of one, or none for large pictures."""
        size = np.array(ground.hole.shape)
        if size.max() > LARGEST_ASKED or not len(ground.pool):
            return []
        margin = MARGIN if ground.tiles else 0
        seen = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="wrap")
        term = self._term(options)
        (found,) = self.engine.targets((term,), to_nchw(seen), options.pooling).values()
        columns = found[0]

        def at(corners: Corners) -> Array:
            middles = corners % size + SIDE // 2 + margin
            scale = np.array(columns.shape[1:]) / seen.shape[:2]
            cells = np.minimum((middles * scale).astype(np.intp), np.array(columns.shape[1:]) - 1)
            return np.ascontiguousarray(columns[:, cells[:, 0], cells[:, 1]])

        return [ground.pool[self.engine.nearest(at(ground.queries), at(ground.pool))]]

    def _term(self, options: FillingOptions) -> Term:
        layers = layers_of_columns(self.engine.bundle, options.layers)
        (term,) = matched_columns(layers).terms
        return term


def _hole_of(picture: Picture, hole: ImageLike | None) -> NDArray[np.bool_]:
    """Return the hole (H, W); an ImageError if there is none, or it has another size."""
    if hole is None:
        if picture.alpha is None or (picture.alpha >= 0.5).all():
            raise ImageError("It has no hole: give a mask, or make the hole transparent.")
        return np.asarray(picture.alpha < 0.5)
    mask = as_picture(hole).pixels
    if mask.shape != picture.pixels.shape:
        sizes = [f"{shape[1]}x{shape[0]}" for shape in (mask.shape, picture.pixels.shape)]
        raise ImageError(f"The mask is {sizes[0]} pixels, the picture {sizes[1]}.")
    white = np.asarray(mask.mean(axis=2) > 0.5)
    if not white.any():
        raise ImageError("The mask has no white pixels, so there is no hole to fill.")
    return white


def _at(pixels: Array, finest: Ground, ground: Ground) -> Array:
    """Resize a picture (H, W, 3) to the size of a ground, without the pixels of its hole."""
    height, width = ground.hole.shape
    if ground is finest:
        return pixels
    known = (~finest.hole).astype(np.float32)[..., None]
    share = resize(known, (height, width))
    colours = resize(pixels * known, (height, width)) / np.maximum(share, 1e-6)
    return colours.astype(np.float32)


def _enlarged(image: Array, smaller: Array, field: Field, ground: Ground) -> Array:
    """Fill the hole of a picture as that of a smaller one was filled.

    Patches are copied at the larger size, where they are sharp; a search would find blurred ones
    for what is blurred. Where the smaller one had no patch of use, its pixels are enlarged.
    """
    height, width = ground.hole.shape
    image = np.where(ground.hole[..., None], resize(smaller, (height, width)), image)
    sources = field.enlarged(ground)
    weights = ground.has(sources).astype(np.float32)
    return ground.copied(image, ground.queries, sources * (weights > 0)[:, None], weights)


def _progress(plan: list[Ground], step: int, image: Array) -> Progress:
    sizes = list(dict.fromkeys(ground.hole.shape for ground in plan))
    height, width = plan[step].hole.shape
    works = np.cumsum([ground.hole.size for ground in plan])
    return Progress(
        scale=sizes.index((height, width)) + 1,
        scales=len(sizes),
        step=step + 1,
        steps=len(plan),
        share=float(works[step] / works[-1]),
        height=height,
        width=width,
        losses={},
        picture=lambda: image,
    )
