"""Neural style transfer (Gatys, Ecker & Bethge 2016): a photo's content in a painting's style.

Embedding takes three lines::

    transfer = StyleTransfer("vgg16", device="auto")
    result = transfer("photo.jpg", "monet.jpg", progress=print)
    result.image  # (H, W, 3) float32, RGB in [0, 1]
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.cache.lru_cache import LruCache
from nstbatch.runtime.checks import Pooling, options_or_default
from nstbatch.runtime.descent.optimizers import LBFGS, Optimizer, optimizer_named
from nstbatch.runtime.descent.progress import ProgressCallback
from nstbatch.runtime.descent.pyramid import MARGIN, Level, plan_levels
from nstbatch.runtime.engine.engine import Targets
from nstbatch.runtime.engine.peak_memory import GRAM_PASS, SCALES_KEPT
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.objectives.terms import CONTENT_TARGET, Objective
from nstbatch.runtime.pictures.colours import recolored
from nstbatch.runtime.pictures.images import ImageLike, as_picture
from nstbatch.runtime.pictures.sizes import fit_long_side, long_side, resize, to_nchw

from .style_objective import style_objective
from .style_transfer_options import Init, StyleTransferOptions
from .system import Result, Run, System

# The coarse sizes only settle large shapes of the photo; the strokes take most of the steps.
FINE_LONGER = 1.0
# Root mean square, for pixels in [0, 1]: about the longest one in runs that went well. A move of
# 0.145 destroyed the picture: docs/decisions/0019-lbfgs-by-default.md.
LONGEST_MOVE = 0.02
# Pixels; 5 to 17 give the same: docs/decisions/0020-curvature-by-place.md.
NEIGHBOURHOOD = 9
# Photos of one size share the style's targets: one set for each scale and orientation.
KEPT_TARGETS = 16


class StyleTransfer(System):
    """A bundle on a device, ready to paint; photos of the same shape share their sessions."""

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
    ) -> None:
        """Choose a bundle and a device; see :class:`.system.System`."""
        super().__init__(model, device=device, precision=precision, threads=threads)
        self._style_targets: LruCache[Targets] = LruCache(KEPT_TARGETS)

    def __call__(
        self,
        photo: ImageLike,
        style: ImageLike,
        options: StyleTransferOptions | None = None,
        *,
        init_image: ImageLike | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        progress: ProgressCallback | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Result:
        """Paint a photo.

        Args:
            photo: A path, or an array (H, W, 3), RGB in [0, 1].
            style: The painting, likewise.
            options: The options; the defaults if None.
            init_image: The start, with ``init="image"``.
            checkpoint: A file to save the run to, once a minute, and to resume from if it holds
                this run; it is removed when the run is finished.
            progress: Called after every step.
            stop: Called before every step; True ends the run.

        A loss that is not finite raises no error: the result has the last picture before it, and
        gives the ``reason``.

        Raises:
            UnknownNameError: The options name a layer that the bundle lacks; lists those it has.
            UsageError: ``init_image`` and ``options.init`` contradict each other, or no style
                layer has a weight.
            ImageError: A picture cannot be read, is too small for the layers, or is an array of
                another kind.
        """
        options = options_or_default(options, StyleTransferOptions)
        plan = partial(self._plan, photo, style, options, init_image, checkpoint)
        return self._carry_out(plan, progress, stop)

    def _plan(
        self,
        photo: ImageLike,
        style: ImageLike,
        options: StyleTransferOptions,
        init_image: ImageLike | None,
        checkpoint: str | os.PathLike[str] | None,
    ) -> Run:
        """Read the pictures and describe the run; see :meth:`__call__`."""
        if (options.init == "image") != (init_image is not None):
            raise UsageError("An init_image goes with init='image', and with nothing else.")
        objective = self.objective(options)
        size = options.size
        picture, painting = as_picture(photo, size), as_picture(style, size).pixels
        start = picture.pixels if init_image is None else as_picture(init_image, size).pixels
        levels = self._levels(picture.pixels, painting, objective, options)
        optimizer = _optimizer(options)
        return Run(
            objective=objective,
            levels=levels,
            images=first_images(options.init, options.seed, start, painting, levels[0]),
            optimizer=optimizer,
            pooling=options.pooling,
            targets=lambda level, begun: self._targets(
                objective, picture.pixels, painting, level, options.pooling
            ),
            tolerance=options.tolerance,
            checkpoint=self._checkpoint_file(
                checkpoint, options, optimizer, levels, picture.pixels, painting, start
            ),
            photo=picture,
        )

    def objective(self, options: StyleTransferOptions) -> Objective:
        """Return the weighted terms of the options; see :func:`.style_objective`."""
        return style_objective(self.engine.bundle, options)

    def _levels(
        self, photo: Array, painting: Array, objective: Objective, options: StyleTransferOptions
    ) -> list[Level]:
        """Plan the sizes; an ImageError if a picture is too small for a layer."""
        layers = objective.layers
        smallest, _ = self.engine.limits.largest_need(layers, options.pooling)
        height, width, _ = photo.shape
        levels = plan_levels(
            height,
            width,
            size=long_side(height, width, options.size, options.max_size),
            scales=options.scales,
            steps=options.iterations,
            smallest=smallest,
            margin=MARGIN,
            power=FINE_LONGER,
        )
        finest = (levels[-1].height, levels[-1].width)
        self.engine.limits.check_side("picture", photo.shape, layers, options.pooling)
        self.engine.limits.check_side(
            "picture at the size asked for", finest, layers, options.pooling
        )
        self.engine.limits.check_side("style", painting.shape, layers, options.pooling)
        return levels

    def peak_memory(
        self, options: StyleTransferOptions, shape: tuple[int, int], pictures: int = 1
    ) -> int | None:
        """Return the estimated peak of this process's memory for pictures of a height and width.

        It is in bytes, and None on a GPU; see :mod:`nstbatch.runtime.engine.peak_memory`. Several
        pictures count if the engine is shared.
        """
        steps = [self.objective(options).layers] * min(options.scales, SCALES_KEPT)
        optimizer = _optimizer(options)
        return self.engine.peak_of_descent(
            steps, GRAM_PASS, optimizer, options.pooling, shape, pictures
        )

    def check_style(self, style: ImageLike, options: StyleTransferOptions) -> None:
        """Raise the ImageError of any photo: the style is too small for a layer."""
        layers = self.objective(options).layers
        shape = as_picture(style, options.size).pixels.shape
        self.engine.limits.check_side("style", shape, layers, options.pooling)

    def _targets(
        self,
        objective: Objective,
        photo: Array,
        painting: Array,
        level: Level,
        pooling: Pooling,
    ) -> Targets:
        """Return the targets: photo at this size, painting at the same long side.

        A long and narrow painting is larger, if the layers need a longer short side.
        """
        of_content = tuple(term for term in objective.terms if term.target == CONTENT_TARGET)
        # Whatever else has a target takes it from the painting, a new loss too.
        of_style = tuple(
            term for term in objective.terms if term.target not in (None, CONTENT_TARGET)
        )
        smallest, _ = self.engine.limits.largest_need(objective.layers, pooling)
        resized = painting_at(painting, max(level.height, level.width), smallest)
        key = self._key_of_targets(resized, of_style, pooling)

        def of_painting() -> Targets:
            return self.engine.targets(of_style, resized, pooling, keep=True)

        return {
            **self._style_targets.get(key, of_painting),
            **self.engine.targets(of_content, level.fit(photo), pooling),
        }


def _optimizer(options: StyleTransferOptions) -> Optimizer:
    optimizer = optimizer_named(options.optimizer, options.learning_rate)
    if isinstance(optimizer, LBFGS):
        return replace(optimizer, longest_move=LONGEST_MOVE, neighbourhood=NEIGHBOURHOOD)
    return optimizer


def painting_at(painting: Array, wanted: int, smallest: int) -> Array:
    """Resize a painting to a long side, (1, 3, H, W).

    A long and narrow one becomes larger, so that its short side is not below ``smallest``.
    """
    height, width, _ = painting.shape
    narrow = math.ceil(smallest * max(height, width) / min(height, width))
    return to_nchw(resize(painting, fit_long_side(height, width, max(wanted, narrow))))


def first_images(init: Init, seed: int, start: Array, painting: Array, level: Level) -> Array:
    """Return the first images, (1, 3, H, W): the given picture, recolored if asked, or noise."""
    if init == "noise":
        random = np.random.default_rng(seed)
        return random.random((1, 3, *level.canvas), dtype=np.float32)
    if init == "recolored":
        height, width, _ = painting.shape
        small = resize(painting, fit_long_side(height, width, max(level.height, level.width)))
        start = recolored(resize(start, (level.height, level.width)), small)
    return level.fit(start)
