"""The options of a texture synthesis and their defaults, for library and commands.

Imports nothing heavy, so the command line can show the defaults without numpy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from nstbatch.runtime.checks import (
    OPTIMIZER_NAMES,
    POOLINGS,
    OptimizerName,
    Pooling,
    at_least,
    one_of,
)
from nstbatch.runtime.errors import UsageError


@dataclass(frozen=True)
class TextureOptions:
    """Options of a texture synthesis.

    Attributes:
        width: Width of the texture, in pixels.
        height: Height of the texture, in pixels.
        exemplar_size: Long side to which the exemplar is resized, in pixels; None keeps its size.
            A larger exemplar gives larger structures in the texture.
        layers: Weight of each layer; None for the bundle's style layers, with equal weights.
        up_to: Deepest layer to use; deeper ones are left out.
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
        UsageError: For a value that is out of range, naming the option.
    """

    width: int = 512  # neural-style: -image_size
    height: int = 512
    exemplar_size: int | None = None
    layers: Mapping[str, float] | None = None
    up_to: str | None = None
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
        one_of("optimizer", self.optimizer, OPTIMIZER_NAMES)
        one_of("pooling", self.pooling, POOLINGS)
        for name in ("width", "height", "iterations", "scales"):
            at_least(name, getattr(self, name), 1)
        at_least("seed", self.seed, 0)
        if self.tolerance is not None:
            at_least("tolerance", self.tolerance, 0)
        if self.exemplar_size is not None:
            at_least("exemplar_size", self.exemplar_size, 1)
        for name, weight in (self.layers or {}).items():
            at_least(f"weight of {name}", weight, 0)
        if self.learning_rate is not None and not 0 < self.learning_rate < math.inf:
            raise UsageError(f"The learning_rate must be above 0, not {self.learning_rate}.")

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the texture."""
        return self.height, self.width
