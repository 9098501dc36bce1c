"""Neural style transfer (Gatys, Ecker & Bethge 2016): a photo's content in a painting's style.

Embedding takes three lines::

    transfer = StyleTransfer("vgg16", device="auto")
    result = transfer("photo.jpg", "monet.jpg", progress=print)
    result.image  # (H, W, 3) float32, RGB in [0, 1]
"""

from __future__ import annotations

import os
from dataclasses import replace

from nstbatch.runtime.descent.averaged import averaged
from nstbatch.runtime.descent.optimizers import LBFGS, Optimizer, optimizer_named
from nstbatch.runtime.descent.pyramid import DEAR, Level
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.needs.peak_memory import GRAM_PASS, SCALES_KEPT
from nstbatch.runtime.objectives.guided_terms import UNGUIDED
from nstbatch.runtime.objectives.style_losses import least_side
from nstbatch.runtime.objectives.terms import Objective
from nstbatch.runtime.style.first_images import first_images
from nstbatch.runtime.style.guided_objective import guided_objective
from nstbatch.runtime.style.style_objective import style_objective
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions

from .style_system import Given, StyleSystem
from .style_targets import StyleTargets
from .system import Run

# The coarse sizes only settle large shapes of the photo; the strokes take most of the steps.
FINE_LONGER = 1.0
# Root mean square, for pixels in [0, 1]: about the longest one in runs that went well. A move of
# 0.145 destroyed the picture: docs/decisions/0019-lbfgs-by-default.md.
LONGEST_MOVE = 0.02
# Pixels; 5 to 17 give the same: docs/decisions/0020-curvature-by-place.md.
NEIGHBOURHOOD = 9
# Pixels; style-transfer-pytorch: min_scale. Smaller sizes break up faces:
# docs/decisions/0030-the-default-picture.md.
COARSEST = 128


class StyleTransfer(StyleSystem[StyleTransferOptions]):
    """A bundle on a device, ready to paint; photos of the same shape share their sessions."""

    level_power = FINE_LONGER
    few_above = DEAR
    coarsest = COARSEST

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        tile_size: int | None = None,
    ) -> None:
        """Choose a bundle and a device; see :class:`.system.System`."""
        super().__init__(
            model, device=device, precision=precision, threads=threads, tile_size=tile_size
        )
        self._targets = StyleTargets(self.engine)

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
        if given.regions and options.style_loss in UNGUIDED:
            raise UsageError(f"The style_loss {options.style_loss!r} takes no regions.")
        smallest = self._smallest(objective.layers, options)
        optimizer = _optimizer(options)
        areas = {name: float(region.mean()) for name, region in given.regions.items()}
        weights = given.content_weights
        content_area = None if weights is None else float(weights.mean())
        objective = guided_objective(objective, areas, content_area)
        return Run(
            objective=objective,
            levels=levels,
            images=first_images(options, given.start, given.paintings, levels[0]),
            optimizer=optimizer,
            pooling=options.pooling,
            padding=options.padding,
            targets=lambda level, begun: self._targets.at(
                level, objective, given, options, smallest
            ),
            tolerance=options.tolerance,
            checkpoint=self._checkpoint_file(
                given.checkpoint, options, optimizer, levels, *given.identity
            ),
            photo=given.photo,
        )

    def least_side(self, options: StyleTransferOptions) -> int:
        """Return the smallest side of a picture, in pixels, that the style loss accepts."""
        return least_side(options.style_loss)

    def needs_fp32(self, options: StyleTransferOptions) -> bool:
        """Return True for roots of matrices, of which bf16 leaves nothing."""
        return options.style_loss == "wasserstein"

    def peak_memory(
        self, options: StyleTransferOptions, shape: tuple[int, int], pictures: int = 1
    ) -> int | None:
        """Return the estimated peak of memory for pictures of a height and width.

        It is in bytes, and the memory is that of this process, or of its GPU; see
        :mod:`nstbatch.runtime.needs.peak_memory`. Several pictures count if the engine is shared.
        """
        layers = self.objective(options).layers
        levels = self._levels_of_picture(shape, layers, options)
        steps = [layers] * min(len(levels), SCALES_KEPT)
        optimizer = _optimizer(options)
        return self.engine.peak_of_descent(
            steps, GRAM_PASS, optimizer, options.pooling, shape, pictures
        )


def _optimizer(options: StyleTransferOptions) -> Optimizer:
    optimizer = optimizer_named(options.optimizer, options.learning_rate)
    if isinstance(optimizer, LBFGS):
        optimizer = replace(optimizer, longest_move=LONGEST_MOVE, neighbourhood=NEIGHBOURHOOD)
    return averaged(optimizer, options.average_decay)
