"""The options of a style transfer and their defaults: one definition for library and commands.

Imports nothing heavy, so the command line can show the defaults without numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from nstbatch.runtime.checks import (
    ERRORS,
    STYLE_LOSS_NAMES,
    Error,
    OptimizerName,
    Own,
    Pooling,
    StyleLoss,
    layer_names,
    one_of,
    shared_fields,
    weights,
)

from .shared_style_options import SharedStyleOptions
from .style_transfer_presets import PRESET_NAMES, PRESETS, Preset

Weighting = Literal["relative", "plain"]
TvReduction = Literal["mean", "sum"]

WEIGHTINGS: tuple[Weighting, ...] = get_args(Weighting)
TV_REDUCTIONS: tuple[TvReduction, ...] = get_args(TvReduction)


@dataclass(frozen=True)
class StyleTransferOptions(SharedStyleOptions):
    """Options of a style transfer.

    Attributes:
        size: Long side of the result, in pixels; "own" for that of the photo.
        max_size: Upper bound of the long side, with which no photo is enlarged either; None for
            no bound.
        iterations: Optimiser steps over all scales.
        scales: Number of sizes to work through, coarse to fine; 1 is the full size alone. None
            for 4, without those below 128 pixels.
        optimizer: "adam" or "lbfgs".
        learning_rate: Step size of the optimiser; None for the optimiser's default.
        error: Error of the content and style losses: "mse", the mean squared difference, or
            "scaled-mse", which pulls about as hard on every layer, far from its target and near.
        style_loss: What the style loss compares in each layer: "gram", Gram matrices;
            "shifted-gram", also those with shifted copies, for patterns that repeat; "sliced", the
            sliced Wasserstein distance of all columns; "moments", means and deviations of the
            channels; "wasserstein", Gaussians with their means and
            covariances, by a distance that takes the place of the error.
        weighting: "relative", each loss is divided by the size of its target, so that weights mean
            the same for every network and painting; "plain", none is, as in other programs.
        content_weight: Weight of the content loss.
        style_weight: Weight of the style loss.
        style_layers: Weight of each style layer; None for the bundle's, with equal weights
            under "mse", and smaller ones for deep layers under "scaled-mse", by the weighting.
        content_layers: Layers of the content loss; None for the bundle's.
        tv_weight: Weight of the total variation.
        tv_reduction: "mean", the total variation is a mean over the picture; "sum", a sum, as in
            neural-style, which counts less in smaller pictures.
        tolerance: Continue with the next scale if the loss has fallen by less than this share in
            20 steps; None to take all steps.
        pooling: Pooling variant of the network, "avg" or "max".
        init, init_noise, noise, seed, average_decay, histogram, sharpen, color, style_size,
            style_scale, padding: See :class:`.shared_style_options.SharedStyleOptions`.

    Raises:
        UsageError: For a value of another type or out of range, naming the option.
    """

    size: int | Own = 512  # neural-style: -image_size
    max_size: int | None = None
    # 27 at the first size, 79 at the last: docs/decisions/0030-the-default-picture.md.
    iterations: int = 200
    scales: int | None = None
    # neural-style, Gatys et al. 2016: docs/decisions/0019-lbfgs-by-default.md.
    optimizer: OptimizerName = "lbfgs"
    learning_rate: float | None = None
    error: Error = "scaled-mse"  # docs/decisions/0030-the-default-picture.md
    style_loss: StyleLoss = "gram"
    weighting: Weighting = "relative"
    # Losses are relative to their targets, so other programs' weights do not apply as they are.
    # These are style-transfer-pytorch's, converted: docs/decisions/0030-the-default-picture.md.
    content_weight: float = 1.0
    style_weight: float = 35.0
    style_layers: Mapping[str, float] | None = None
    content_layers: tuple[str, ...] | None = None
    tv_weight: float = 130.0
    tv_reduction: TvReduction = "mean"  # style-transfer-pytorch
    tolerance: float | None = None
    pooling: Pooling = "max"  # style-transfer-pytorch

    @classmethod
    def preset(cls, name: Preset, **changes: Any) -> StyleTransferOptions:
        """Return the options of a preset, such as "fast" or "gatys", with further changes.

        Raises:
            UnknownNameError: There is no such preset.
            UsageError: See :class:`StyleTransferOptions`.
        """
        one_of("preset", name, PRESET_NAMES)
        return cls(**{**PRESETS[name], **changes})

    def __post_init__(self) -> None:
        super().__post_init__()
        shared_fields(self)
        one_of("error", self.error, ERRORS)
        one_of("weighting", self.weighting, WEIGHTINGS)
        one_of("tv_reduction", self.tv_reduction, TV_REDUCTIONS)
        one_of("style_loss", self.style_loss, STYLE_LOSS_NAMES)
        if self.style_layers is not None:
            weights("style_layers", self.style_layers)
        if self.content_layers is not None:
            layer_names("content_layers", self.content_layers)
