"""A picture held as frequencies of decorrelated colours: the natural-image prior of class pictures.

Gradients in pixels favour high frequencies, and a class picture made of pixels is noise that a
network likes. Lucid (optvis/param: ``fft_image``, ``to_valid_rgb``) moves the spectrum instead:
frequencies scaled by 1/f, as they are in photographs, and colours along the axes in which those of
photographs do not depend on one another. This is a change of coordinates, no penalty: every
picture can still be reached.

The transform is the cosine transform, and the network sees it through a window that is moved and
magnified a little by chance in every step. A picture's cosines can be evaluated anywhere, so the
window costs nothing: its positions are in the two matrices that the frequencies are multiplied by.
Beyond its edges a picture goes on as its mirror image.

    seen = sigmoid(colours (rows (coefficients * scale) columnsᵀ))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from nstbatch.runtime.arrays import Array

from .formula import Formula
from .views import View

Seed: TypeAlias = int | np.random.SeedSequence
FORMULAS = "nstbatch.runtime.objectives.spectrum_formulas"

# lucid, optvis/param/color.py: the root of the covariance of ImageNet's colours, a column for each
# decorrelated one, divided by the length of the longest.
COLOURS = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
COLOURS /= np.linalg.norm(COLOURS, axis=0).max()

# lucid, optvis/param/spatial.py: fft_image, "magic constant", and the deviation of the first noise.
CONTRAST = 1 / 4
FIRST_DEVIATION = 0.01


SPECTRUM = View(
    "spectrum",
    Formula(FORMULAS, "see_spectrum"),
    Formula(FORMULAS, "pull_back_spectrum"),
    ("rows", "columns", "scale", "colours"),
)
"""The picture as the spectrum that an optimiser moves; its inputs are those of `Spectrum`."""


@dataclass(frozen=True)
class Spectrum:
    """The frequencies of pictures of one size.

    Attributes:
        height: Of the pictures, in pixels.
        width: Likewise.
    """

    height: int
    width: int

    def first_coefficients(self, seed: Seed) -> Array:
        """Noise, (1, 3, height, width): a grey picture with a little of every frequency."""
        random = np.random.default_rng(seed)
        noise = random.standard_normal((1, 3, self.height, self.width), dtype=np.float32)
        return noise * np.float32(FIRST_DEVIATION)

    def constants(self) -> dict[str, Array]:
        """The inputs of :data:`SPECTRUM` that stay, by their names in a step graph."""
        *_, scale, colours = SPECTRUM.graph_inputs
        return {
            scale: self._scale(),
            colours: COLOURS[..., None, None].astype(np.float32),
        }

    def window(self, down: float = 0.0, right: float = 0.0, zoom: float = 1.0) -> dict[str, Array]:
        """The inputs of :data:`SPECTRUM` that say which part of the picture is seen.

        Args:
            down: How far the window is moved, in pixels of the picture.
            right: Likewise.
            zoom: How much larger than it is the picture is seen, about the window's centre.
        """
        rows, columns, *_ = SPECTRUM.graph_inputs
        return {
            rows: cosines(self.height, down, zoom),
            columns: np.ascontiguousarray(cosines(self.width, right, zoom).T),
        }

    def random_window(
        self, jitter: int, zoom: float, seed: Seed
    ) -> Callable[[], Mapping[str, Array]]:
        """What is new in every step: a window moved and magnified by chance.

        Args:
            jitter: At most so many pixels either way.
            zoom: At most larger by this factor, or smaller by it.
            seed: Of the chance.
        """
        random = np.random.default_rng(seed)

        def draw() -> dict[str, Array]:
            down, right = random.uniform(-jitter, jitter, size=2)
            return self.window(down, right, zoom ** random.uniform(-1, 1))

        return draw

    def picture(self, coefficients: Array) -> Array:
        """(N, 3, height, width) of coefficients -> pictures, RGB in (0, 1), of the same shape."""
        rows, columns = self.window().values()
        planes = rows @ (coefficients * self._scale()) @ columns
        colours = np.einsum("ij,njhw->nihw", COLOURS, planes)
        return np.asarray(1 / (1 + np.exp(-colours)), dtype=np.float32)

    def _scale(self) -> Array:
        """(height, width): 1/f, of f in cycles a pixel; lucid's ``decay_power`` of 1."""
        down = np.arange(self.height)[:, None] / (2 * self.height)
        right = np.arange(self.width) / (2 * self.width)
        # The mean colour has no frequency; lucid gives it that of one cycle a picture.
        lowest = 1 / max(self.height, self.width)
        return (CONTRAST / np.maximum(np.hypot(down, right), lowest)).astype(np.float32)


def cosines(pixels: int, shift: float, zoom: float) -> Array:
    """The orthonormal cosine transform's inverse, (pixels, pixels), at moved positions.

    Column k is a cosine of k half waves on the picture. What a smaller picture cannot show, having
    less than two pixels a wave, is left out.
    """
    frequency = np.arange(pixels)
    centred = np.arange(pixels) + 0.5 - pixels / 2
    position = pixels / 2 + shift + centred / zoom
    waves = np.cos(np.pi / pixels * position[:, None] * frequency)
    length = np.where(frequency == 0, 1, 2) / pixels
    return np.asarray(waves * np.sqrt(length) * (frequency < pixels * zoom), dtype=np.float32)
