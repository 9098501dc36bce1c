"""The work for a picture, as far as it is known before its photo is opened."""

from __future__ import annotations

from dataclasses import dataclass

# Short side to long side: most cameras take photos of 3:2.
ASPECT = 2 / 3


@dataclass(frozen=True)
class Effort:
    """The work for one picture: its long side in pixels, and the optimiser's steps."""

    size: int
    steps: int

    @property
    def megapixels(self) -> float:
        """Approximate size of a picture."""
        return ASPECT * (self.size / 1000) ** 2
