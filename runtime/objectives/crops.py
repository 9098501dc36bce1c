"""The view of crops: the network sees parts of one picture, of random place and size, with noise.

What is recognised in crops of many sizes is a thing, not a texture that fits one size. The crops
are a batch of their own: the network sees K pictures where the optimiser moves one. Two matrices
resize a crop, and its gradient goes back by the same matrices transposed. Terms are evaluated for
every crop; the losses of K crops with the weight 1 / K add up to their mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.formulas.formula import Formula

from .spectrum import Seed
from .views import View

FORMULAS = "nstbatch.runtime.formulas.crops"

CROPS = View(
    "crops",
    Formula(FORMULAS, "see_crops"),
    Formula(FORMULAS, "pull_back_crops"),
    ("rows", "columns", "noise"),
)
"""The view from a picture to crops of it; `Crops` draws its inputs."""


@dataclass(frozen=True)
class Crops:
    """The crops of a picture that a network sees in one step.

    Attributes:
        count: Number of crops.
        side: Height and width to which they are resized, in pixels.
        smallest: Smallest side of a crop, as a share of the picture's.
        largest: Largest side of a crop, as a share of the picture's.
        noise: Standard deviation of the noise that is added to them.
    """

    count: int
    side: int
    smallest: float
    largest: float
    noise: float

    def random(self, height: int, width: int, seed: Seed) -> Callable[[], Mapping[str, Array]]:
        """A function that draws the inputs of :data:`CROPS` for each step.

        Args:
            height: Height of the picture, in pixels.
            width: Its width.
            seed: Random seed of places, sizes and noise.
        """
        random = np.random.default_rng(seed)
        names = CROPS.graph_inputs

        def draw() -> dict[str, Array]:
            shares = random.uniform(self.smallest, self.largest, self.count)
            rows, columns = (
                np.stack([self._matrix(pixels, share, random) for share in shares])[:, None]
                for pixels in (height, width)
            )
            noise = random.standard_normal((self.count, 3, self.side, self.side), np.float32)
            columns = np.ascontiguousarray(columns.transpose(0, 1, 3, 2))
            return dict(zip(names, (rows, columns, noise * np.float32(self.noise)), strict=True))

        return draw

    def _matrix(self, pixels: int, share: float, random: np.random.Generator) -> Array:
        """Crop and resize one axis: (side, pixels)."""
        length = share * pixels
        return resampling(pixels, random.uniform(0, pixels - length), length, self.side)


def resampling(pixels: int, start: float, length: float, samples: int) -> Array:
    """The matrix that resamples a part of an axis linearly, (samples, pixels).

    Where it reduces, a sample is a weighted mean of the pixels around it, against aliasing.

    Args:
        pixels: Length of the axis.
        start: Where the part begins, in pixels.
        length: Length of the part, in pixels.
        samples: Number of samples over that length.
    """
    step = length / samples
    position = start + (np.arange(samples) + 0.5) * step - 0.5
    distance = np.abs(position[:, None] - np.arange(pixels))
    weights = np.maximum(1 - distance / max(step, 1), 0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)
