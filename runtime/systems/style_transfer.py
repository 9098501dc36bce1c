"""Neural style transfer (Gatys, Ecker & Bethge 2016): a photo's content in a painting's style.

Embedding takes three lines::

    transfer = StyleTransfer("vgg16", device="auto")
    result = transfer("photo.jpg", "monet.jpg", progress=print)
    result.image  # (H, W, 3) float32, RGB in [0, 1]
"""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import replace

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.cache.lru_cache import LruCache
from nstbatch.runtime.checks import Pooling
from nstbatch.runtime.descent.optimizers import LBFGS, Optimizer, optimizer_named
from nstbatch.runtime.descent.pyramid import Level
from nstbatch.runtime.engine.engine import Targets
from nstbatch.runtime.engine.peak_memory import GRAM_PASS, SCALES_KEPT
from nstbatch.runtime.objectives.terms import CONTENT_TARGET, Objective
from nstbatch.runtime.pictures.colours import recolored
from nstbatch.runtime.pictures.sizes import fit_long_side, resize, to_nchw
from nstbatch.runtime.style.style_objective import style_objective
from nstbatch.runtime.style.style_transfer_options import Init, StyleTransferOptions

from .style_system import Given, StyleSystem
from .system import Run

# The coarse sizes only settle large shapes of the photo; the strokes take most of the steps.
FINE_LONGER = 1.0
# Root mean square, for pixels in [0, 1]: about the longest one in runs that went well. A move of
# 0.145 destroyed the picture: docs/decisions/0019-lbfgs-by-default.md.
LONGEST_MOVE = 0.02
# Pixels; 5 to 17 give the same: docs/decisions/0020-curvature-by-place.md.
NEIGHBOURHOOD = 9
# Photos of one size share the style's targets: one set for each scale and orientation.
KEPT_TARGETS = 16


class StyleTransfer(StyleSystem[StyleTransferOptions]):
    """A bundle on a device, ready to paint; photos of the same shape share their sessions."""

    level_power = FINE_LONGER

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

    @property
    def options_class(self) -> type[StyleTransferOptions]:
        """The class of the options."""
        return StyleTransferOptions

    def objective(self, options: StyleTransferOptions) -> Objective:
        """Return the weighted terms of the options; UnknownNameError for an unknown layer."""
        return style_objective(self.engine.bundle, options)

    def _run(
        self,
        given: Given,
        levels: list[Level],
        objective: Objective,
        options: StyleTransferOptions,
    ) -> Run:
        """Describe the run over these sizes of pictures."""
        photo, painting = given.photo.pixels, given.painting
        optimizer = _optimizer(options)
        return Run(
            objective=objective,
            levels=levels,
            images=first_images(options.init, options.seed, given.start, painting, levels[0]),
            optimizer=optimizer,
            pooling=options.pooling,
            targets=lambda level, begun: self._targets(
                objective, photo, painting, level, options.pooling
            ),
            tolerance=options.tolerance,
            checkpoint=self._checkpoint_file(
                given.checkpoint, options, optimizer, levels, photo, painting, given.start
            ),
            photo=given.photo,
        )

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
        smallest = self._smallest(objective.layers, pooling)
        resized = painting_at(painting, max(level.height, level.width), smallest)
        key = (hashlib.sha256(resized.tobytes()).digest(), resized.shape, of_style, pooling)

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
