"""The options of a texture synthesis and their defaults, for library and commands.

Imports nothing heavy, so the command line can show the defaults without numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nstbatch.runtime.checks import (
    OWN,
    OptimizerName,
    Own,
    Pooling,
    StyleLoss,
    at_least,
    flag,
    one_of,
    shared_fields,
    side,
    text,
    weights,
    whole,
)
from nstbatch.runtime.errors import UsageError

TEXTURE_LOSSES: tuple[StyleLoss, ...] = ("gram", "shifted-gram", "sliced")


@dataclass(frozen=True)
class TextureOptions:
    """Options of a texture synthesis.

    Attributes:
        width: Width of the texture, in pixels; "own" for that of the exemplar.
        height: Height of the texture, likewise.
        max_size: Upper bound of the texture's long side, whatever its width and height; None for
            no bound.
        exemplar_size: Long side to which the exemplar is resized, in pixels; None keeps its size.
            A larger exemplar gives larger structures in the texture.
        layers: Weight of each layer; None for the bundle's style layers, with equal weights.
        up_to: Deepest layer to use; deeper ones are left out.
        style_loss: What of each layer is compared: "gram", the Gram matrix; "shifted-gram", also
            those between the layer and shifted copies, for patterns that repeat; or "sliced", the
            sliced Wasserstein distance.
        spectrum_weight: Weight of the loss on Fourier magnitudes, beside 1 for all layers together;
            it holds regular patterns straight.
        iterations: Optimiser steps over all scales.
        scales: Number of sizes to work through, coarse to fine; 1 is the full size alone.
        optimizer: "adam" or "lbfgs".
        learning_rate: Step size of the optimiser; None for the optimiser's default.
        tileable: True if the texture continues at its opposite edge.
        histogram: True to match the colours of the exemplar at the end.
        tolerance: Continue with the next scale if the loss has fallen by less than this share in
            20 steps; None to take all steps.
        seed: Random seed for the initial noise.
        pooling: Pooling variant of the network, "avg" or "max".

    Raises:
        UsageError: For a value of another type or out of range, naming the option.
    """

    width: int | Own = 512  # neural-style: -image_size
    height: int | Own = 512
    max_size: int | None = None
    exemplar_size: int | None = None
    layers: Mapping[str, float] | None = None
    up_to: str | None = None
    style_loss: StyleLoss = "gram"
    spectrum_weight: float = 0.0
    # Chosen by eye, as a compromise with time: docs/decisions/0009-texture-defaults.md.
    iterations: int = 300
    scales: int = 4  # from 181 to 512 pixels, as for a style transfer
    optimizer: OptimizerName = "lbfgs"  # Gatys et al. 2015
    learning_rate: float | None = None
    tileable: bool = False
    histogram: bool = True  # DeepTextures' example
    tolerance: float | None = None
    seed: int = 0
    pooling: Pooling = "avg"  # Gatys et al. 2015, section 2

    def __post_init__(self) -> None:
        shared_fields(self)
        one_of("style_loss", self.style_loss, TEXTURE_LOSSES)
        at_least("spectrum_weight", self.spectrum_weight, 0)
        for name in ("width", "height"):
            side(name, getattr(self, name))
        if (self.width == OWN) != (self.height == OWN):
            raise UsageError(
                f"Give the width and the height as numbers, or both as {OWN!r}, "
                f"not {self.width!r} and {self.height!r}."
            )
        for name in ("tileable", "histogram"):
            flag(name, getattr(self, name))
        if self.exemplar_size is not None:
            whole("exemplar_size", self.exemplar_size, 1)
        if self.layers is not None:
            weights("layers", self.layers)
        if self.up_to is not None:
            text("up_to", self.up_to)

    @property
    def given_shape(self) -> tuple[int, int] | None:
        """Height and width as they were given; None for those of the exemplar."""
        if self.height == OWN or self.width == OWN:
            return None
        return self.height, self.width
