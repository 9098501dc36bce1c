"""Neural style transfer (Gatys, Ecker & Bethge 2016): a photo's content in a painting's style.

Embedding takes three lines::

    transfer = StyleTransfer("vgg16", device="auto")
    result = transfer("photo.jpg", "monet.jpg", progress=print)
    result.image  # (H, W, 3) float32, RGB in [0, 1]
"""

from __future__ import annotations

import hashlib
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
from nstbatch.runtime.pictures.sizes import resize
from nstbatch.runtime.style.nearest_neighbor_options import NearestNeighborOptions
from nstbatch.runtime.style.paintings import blended_targets, painting_at, palette
from nstbatch.runtime.style.style_objective import style_objective
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions

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
        optimizer = _optimizer(options)
        return Run(
            objective=objective,
            levels=levels,
            images=first_images(options, given, levels[0]),
            optimizer=optimizer,
            pooling=options.pooling,
            targets=lambda level, begun: self._targets(objective, given, level, options.pooling),
            tolerance=options.tolerance,
            checkpoint=self._checkpoint_file(
                given.checkpoint, options, optimizer, levels, *given.identity
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
        self, objective: Objective, given: Given, level: Level, pooling: Pooling
    ) -> Targets:
        """Return the targets: photo at this size, paintings at theirs.

        A long and narrow painting is larger, if the layers need a longer short side.
        """
        of_content = tuple(term for term in objective.terms if term.target == CONTENT_TARGET)
        # Whatever else has a target takes it from the paintings, a new loss too.
        of_style = tuple(
            term for term in objective.terms if term.target not in (None, CONTENT_TARGET)
        )
        smallest = self._smallest(objective.layers, pooling)
        side = round(given.style_scale * max(level.height, level.width))
        resized = [painting_at(each.pixels, side, smallest) for each in given.paintings]
        shares = [each.share for each in given.paintings]
        seen = tuple((hashlib.sha256(each.tobytes()).digest(), each.shape) for each in resized)

        def of_paintings() -> Targets:
            found = [self.engine.targets(of_style, each, pooling, keep=True) for each in resized]
            return blended_targets(shares, found)

        return {
            **self._style_targets.get((seen, tuple(shares), of_style, pooling), of_paintings),
            **self.engine.targets(of_content, level.fit(given.photo.pixels), pooling),
        }


def _optimizer(options: StyleTransferOptions) -> Optimizer:
    optimizer = optimizer_named(options.optimizer, options.learning_rate)
    if isinstance(optimizer, LBFGS):
        return replace(optimizer, longest_move=LONGEST_MOVE, neighbourhood=NEIGHBOURHOOD)
    return optimizer


def first_images(
    options: StyleTransferOptions | NearestNeighborOptions, given: Given, level: Level
) -> Array:
    """Return the first images, (1, 3, H, W): the given picture, recolored if asked, or noise."""
    if options.init == "noise":
        random = np.random.default_rng(options.seed)
        return random.random((1, 3, *level.canvas), dtype=np.float32)
    start = given.start
    if options.init == "recolored":
        colours = palette(given.paintings, max(level.height, level.width))
        start = recolored(resize(start, (level.height, level.width)), colours)
    return level.fit(start)
