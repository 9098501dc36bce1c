"""The options of a filling and their defaults, for library and commands.

Imports nothing heavy, so the command line can show the defaults without numpy.
"""

from __future__ import annotations

from dataclasses import dataclass

from nstbatch.runtime.checks import POOLINGS, Pooling, one_of, several, text, whole, within


@dataclass(frozen=True)
class FillingOptions:
    """Options of a filling.

    Attributes:
        layers: Layers whose activations are compared; None for the bundle's style layers, without
            those of a stride above 8 pixels.
        iterations: Searches at each size; half as many at the last one of several.
        seam: Width of the band across the edges that is made anew for a tile, as a share of the
            picture's shorter side.
        seed: Random seed of the search.
        pooling: Pooling variant of the network, "avg" or "max".

    Raises:
        UsageError: For a value of another type or out of range, naming the option.
    """

    layers: tuple[str, ...] | None = None
    # Chosen by eye: docs/decisions/0037-filling.md.
    iterations: int = 6
    seam: float = 0.15
    seed: int = 0
    pooling: Pooling = "max"  # as the networks were trained

    def __post_init__(self) -> None:
        one_of("pooling", self.pooling, POOLINGS)
        whole("iterations", self.iterations, 1)
        whole("seed", self.seed, 0)
        within("seam", self.seam, 0.01, 0.5)
        if self.layers is not None:
            several("layers", self.layers, "layer names")
            for layer in self.layers:
                text("layer in layers", layer)
