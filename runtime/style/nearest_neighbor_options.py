"""The options of nearest-neighbour style transfer and their defaults, for library and commands.

Imports nothing heavy, so the command line can show the defaults without numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from nstbatch.runtime.checks import (
    OptimizerName,
    Own,
    Pooling,
    layer_names,
    one_of,
    shared_fields,
    within,
)
from nstbatch.runtime.errors import UsageError

from .nearest_neighbor_presets import PRESETS
from .shared_style_options import SharedStyleOptions
from .style_transfer_options import StyleTransferOptions
from .style_transfer_presets import Preset


@dataclass(frozen=True)
class NearestNeighborOptions(SharedStyleOptions):
    """Options of a nearest-neighbour style transfer.

    Those that have the names of :class:`.style_transfer_options.StyleTransferOptions` have their
    defaults as well.

    Attributes:
        size: Long side of the result, in pixels; "own" for that of the photo.
        max_size: Upper bound of the long side, with which no photo is enlarged either; None for
            no bound.
        iterations: Optimiser steps over all scales, as many at each.
        scales: Number of sizes to work through, each twice the one before; 1 is the full size
            alone, None for 4.
        learning_rate: Step size of Adam; None for 4e-3.
        stylization: Share of the last scale's picture, beside the photo, in what the style's
            columns are matched with: from 0 to 1, more is further from the photo.
        content_weight: Weight of the self-similarity of the photo.
        layers: Layers of the columns; None for the bundle's style layers, without the coarsest.
        tolerance: Continue with the next scale if the loss has fallen by less than this share in
            20 steps; None to take all steps.
        pooling: Pooling variant of the network, "avg" or "max".
        init, init_noise, noise, seed, average_decay, histogram, sharpen, color, style_size,
            style_scale, padding: See :class:`.shared_style_options.SharedStyleOptions`.

    Raises:
        UsageError: For a value of another type or out of range, naming the option.
    """

    optimizer: ClassVar[OptimizerName] = "adam"  # docs/decisions/0028-nearest-neighbors.md

    size: int | Own = StyleTransferOptions.size
    max_size: int | None = StyleTransferOptions.max_size
    iterations: int = StyleTransferOptions.iterations
    scales: int | None = StyleTransferOptions.scales
    learning_rate: float | None = None
    # NNST has 0.25, with max pooling; with a weight of the content more looks better:
    # docs/decisions/0028-nearest-neighbors.md.
    stylization: float = 0.35
    content_weight: float = StyleTransferOptions.content_weight
    layers: tuple[str, ...] | None = None
    tolerance: float | None = StyleTransferOptions.tolerance
    pooling: Pooling = StyleTransferOptions.pooling

    @classmethod
    def preset(cls, name: Preset, **changes: Any) -> NearestNeighborOptions:
        """Return the options of a preset, "fast", "default" or "fine", with further changes.

        Raises:
            UnknownNameError: There is no such preset.
            UsageError: See :class:`NearestNeighborOptions`.
        """
        one_of("preset", name, tuple(PRESETS))
        return cls(**{**PRESETS[name], **changes})

    def __post_init__(self) -> None:
        super().__post_init__()
        shared_fields(self)
        within("stylization", self.stylization, 0, 1)
        if self.layers is not None:
            layer_names("layers", self.layers)
            if not self.layers:
                raise UsageError("The layers must be one or more.")
