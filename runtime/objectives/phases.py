"""A picture stored as phases: every wave keeps its magnitude, that of natural images, and moves.

MACO (Fel et al. 2023) optimises where the waves of a picture lie, and not how strong they are. No
picture made so can hold the high frequencies that networks answer to and photographs lack, nor
colours that are stronger than those of photographs. So it needs no penalty. ::

    seen = sigmoid(colours Re(F^-1 (magnitudes e^(i phases))))

A real picture has every wave twice, with opposite phases, so half of the plane of frequencies is
stored, as ``numpy.fft.rfft2`` does. The mean and the few other waves that are their own
opposites have no phase to move: their magnitude is zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.formulas.formula import Formula

from .spectrum import COLOURS, Seed
from .views import View

FORMULAS = "nstbatch.runtime.formulas.phases"

# The magnitudes of natural images, as a law 1/f^p for each decorrelated colour. Measured on the
# middle squares of the photos of examples/photos, at 224 pixels: the standard deviations of the
# colours before the sigmoid (medians), and p, which is 1.3, 1.3 and 1.1 from 2 to 80 cycles. p is
# a tenth more here, by eye: the grain between the things then fades.
DEVIATIONS = (2.0, 2.1, 1.3)
POWERS = (1.4, 1.4, 1.2)


PHASES = View(
    "phases",
    Formula(FORMULAS, "see_phases"),
    Formula(FORMULAS, "pull_back_phases"),
    ("magnitudes", "rows", "columns", "colours"),
)
"""The view from phases to a picture; `Phases` computes its inputs."""


@dataclass(frozen=True)
class Phases:
    """The phases of pictures of one size.

    Attributes:
        height: Height of the pictures, in pixels.
        width: Width of the pictures, in pixels.
    """

    height: int
    width: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the phases: half of the plane of frequencies."""
        return self.height, self.width // 2 + 1

    def first_phases(self, seed: Seed) -> Array:
        """Random phases, (1, 3, *shape), in [-pi, pi): a cloudy picture."""
        random = np.random.default_rng(seed)
        return random.uniform(-np.pi, np.pi, (1, 3, *self.shape)).astype(np.float32)

    def constants(self) -> dict[str, Array]:
        """The inputs of :data:`PHASES`, by their names in a step graph."""
        magnitudes, rows, columns, colours = PHASES.graph_inputs
        down, right = _turns(self.height, self.shape[0]), _turns(self.width, self.shape[1]).T
        return {
            magnitudes: self.magnitudes(),
            rows: np.block([[down.real, -down.imag], [down.imag, down.real]]).astype(np.float32),
            columns: np.concatenate([right.real, -right.imag]).astype(np.float32),
            colours: COLOURS[..., None, None].astype(np.float32),
        }

    def magnitudes(self) -> Array:
        """The magnitudes r of the waves r cos(...) of decorrelated colours, (3, *shape)."""
        longest = max(self.height, self.width)
        down = np.fft.fftfreq(self.height)[:, None]
        right = np.fft.rfftfreq(self.width)
        cycles = np.maximum(np.hypot(down, right) * longest, 1)  # across the longer side
        laws = np.stack([cycles**-power for power in POWERS]) * self._is_first()
        variances = (laws**2 / 2).sum(axis=(1, 2), keepdims=True)
        deviations = np.array(DEVIATIONS)[:, None, None]
        return np.asarray(laws * deviations / np.sqrt(variances), dtype=np.float32)

    def picture(self, phases: Array) -> Array:
        """Phases (N, 3, *shape) -> pictures (N, 3, height, width), RGB in (0, 1)."""
        waves = self.magnitudes() / 2 * np.exp(1j * phases.astype(np.float64))
        # numpy reads only the real part of a wave that has its opposite in the same column.
        waves[..., 0] *= 2
        if self.width % 2 == 0:
            waves[..., -1] *= 2
        planes = np.fft.irfft2(waves, (self.height, self.width), norm="forward")
        colours = np.einsum("ij,njhw->nihw", COLOURS, planes)
        return np.asarray(1 / (1 + np.exp(-colours)), dtype=np.float32)

    def _is_first(self) -> Array:
        """(*shape): 1 for the first wave of each pair of opposites, 0 for the second.

        0 also for waves that are their own opposites.
        """
        first = np.ones(self.shape, np.float32)
        alone = [0, self.width // 2] if self.width % 2 == 0 else [0]
        first[0, alone] = 0
        first[(self.height + 1) // 2 :, alone] = 0
        return first


def _turns(pixels: int, frequencies: int) -> Array:
    """e^(2 pi i k x), of whole frequencies k at pixels x: complex, (pixels, frequencies)."""
    place = np.arange(pixels)[:, None] * np.arange(frequencies) % pixels
    return np.asarray(np.exp(2j * np.pi / pixels * place))
