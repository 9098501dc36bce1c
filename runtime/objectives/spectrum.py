"""A picture stored as frequencies of decorrelated colours: the image prior of class pictures.

Gradients in pixels favour high frequencies, so a class picture optimised in pixels is noise that
the network responds to. Lucid (optvis/param: ``fft_image``, ``to_valid_rgb``) optimises the
spectrum instead: frequencies scaled by 1/f, as in photographs, and colours along the axes in which
those of photographs are uncorrelated. This is a change of coordinates and not a penalty: every
picture can still be reached.

The transform is the cosine transform. In every step the network sees the picture through a window
that is shifted and magnified a little at random. A picture's cosines can be evaluated anywhere, so
the window costs nothing: its positions are part of the two matrices that multiply the frequencies.
Beyond its edges a picture continues as its mirror image.

    seen = sigmoid(colours (rows (coefficients * scale) columnsᵀ))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.formulas.formula import Formula

from .views import View

Seed: TypeAlias = int | np.random.SeedSequence
FORMULAS = "nstbatch.runtime.formulas.spectrum"

# lucid, optvis/param/color.py: the square root of the covariance of ImageNet's colours, one column
# for each decorrelated colour, divided by the length of the longest column.
COLOURS = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
COLOURS /= np.linalg.norm(COLOURS, axis=0).max()

# lucid, optvis/param/spatial.py, fft_image: its "magic constant", and the standard deviation of the
# initial noise.
CONTRAST = 1 / 4
FIRST_DEVIATION = 0.01


SPECTRUM = View(
    "spectrum",
    Formula(FORMULAS, "see_spectrum"),
    Formula(FORMULAS, "pull_back_spectrum"),
    ("rows", "columns", "scale", "colours"),
)
"""The view from coefficients to a picture; `Spectrum` computes its inputs."""


@dataclass(frozen=True)
class Spectrum:
    """The spectra of pictures of one size.

    Attributes:
        height: Height of the pictures, in pixels.
        width: Width of the pictures, in pixels.
    """

    height: int
    width: int

    def first_coefficients(self, seed: Seed) -> Array:
        """Initial noise, (1, 3, height, width): a grey picture with a little of every frequency."""
        random = np.random.default_rng(seed)
        noise = random.standard_normal((1, 3, self.height, self.width), dtype=np.float32)
        return noise * np.float32(FIRST_DEVIATION)

    def constants(self) -> dict[str, Array]:
        """The constant inputs of :data:`SPECTRUM`, by their names in a step graph."""
        *_, scale, colours = SPECTRUM.graph_inputs
        return {
            scale: self._scale(),
            colours: COLOURS[..., None, None].astype(np.float32),
        }

    def window(self, down: float = 0.0, right: float = 0.0, zoom: float = 1.0) -> dict[str, Array]:
        """The inputs of :data:`SPECTRUM` that choose the visible part of the picture.

        Args:
            down: Shift of the window, in pixels of the picture.
            right: Shift of the window, in pixels of the picture.
            zoom: Magnification of the picture about the window's centre.
        """
        rows, columns, *_ = SPECTRUM.graph_inputs
        return {
            rows: cosines(self.height, down, zoom),
            columns: np.ascontiguousarray(cosines(self.width, right, zoom).T),
        }

    def random_window(
        self, jitter: int, zoom: float, seed: Seed
    ) -> Callable[[], Mapping[str, Array]]:
        """A function that draws a randomly shifted and magnified window for each step.

        Args:
            jitter: Largest shift in either direction, in pixels.
            zoom: Largest factor by which the picture is magnified or reduced.
            seed: Random seed of the windows.
        """
        random = np.random.default_rng(seed)

        def draw() -> dict[str, Array]:
            down, right = random.uniform(-jitter, jitter, size=2)
            return self.window(down, right, zoom ** random.uniform(-1, 1))

        return draw

    def picture(self, coefficients: Array) -> Array:
        """Coefficients (N, 3, height, width) -> pictures of the same shape, RGB in (0, 1)."""
        rows, columns = self.window().values()
        planes = rows @ (coefficients * self._scale()) @ columns
        colours = np.einsum("ij,njhw->nihw", COLOURS, planes)
        return np.asarray(1 / (1 + np.exp(-colours)), dtype=np.float32)

    def _scale(self) -> Array:
        """1/f of every frequency f in cycles per pixel, (height, width); lucid's decay_power=1."""
        down = np.arange(self.height)[:, None] / (2 * self.height)
        right = np.arange(self.width) / (2 * self.width)
        # The mean colour has frequency 0; lucid treats it as one cycle per picture.
        lowest = 1 / max(self.height, self.width)
        return (CONTRAST / np.maximum(np.hypot(down, right), lowest)).astype(np.float32)


def cosines(pixels: int, shift: float, zoom: float) -> Array:
    """The inverse of the orthonormal cosine transform at shifted positions, (pixels, pixels).

    Column k is a cosine with k half waves across the picture. Columns that would have less than two
    pixels per wave once the picture is reduced are zero.
    """
    frequency = np.arange(pixels)
    centred = np.arange(pixels) + 0.5 - pixels / 2
    position = pixels / 2 + shift + centred / zoom
    waves = np.cos(np.pi / pixels * position[:, None] * frequency)
    length = np.where(frequency == 0, 1, 2) / pixels
    return np.asarray(waves * np.sqrt(length) * (frequency < pixels * zoom), dtype=np.float32)
