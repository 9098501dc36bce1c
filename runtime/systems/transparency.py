"""Transparency: the places of a picture that its class does not depend on become transparent.

Fel et al. (2023) add up |d(loss)/d(picture)| over all steps. What the network never asked to be
changed is only there because a picture has to be filled.
"""

from __future__ import annotations

import numpy as np

from nstbatch.runtime.arrays import Array

# xplique's and Horama's `plot_maco`: places above this percentile of the sum are opaque.
OPAQUE_ABOVE = 80


class Transparency:
    """The sum of a run's slopes, and the alpha that follows from it."""

    def __init__(self) -> None:
        self._sum: Array | None = None

    def add(self, slopes: Array) -> None:
        """Add the slopes of one evaluation, (1, 1, H, W)."""
        if self._sum is None:
            self._sum = np.zeros(slopes.shape[2:], np.float32)
        self._sum += slopes[0, 0]

    @property
    def alpha(self) -> Array | None:
        """The alpha, (H, W) in [0, 1]; None before the first evaluation."""
        if self._sum is None:
            return None
        opaque = float(np.percentile(self._sum, OPAQUE_ABOVE))
        if opaque == 0:  # the loss depends on less than a fifth of the picture
            return np.sign(self._sum)
        return np.asarray(np.minimum(self._sum / opaque, 1), dtype=np.float32)
