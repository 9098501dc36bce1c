"""What a picture takes, as far as it is known before its photo is opened."""

from __future__ import annotations

from dataclasses import dataclass

# Height to width, or the other way round: 3:2 is what most cameras make.
ASPECT = 2 / 3


@dataclass(frozen=True)
class Effort:
    """What a verb does for a picture: its long side in pixels, and the optimiser's steps."""

    size: int
    steps: int

    @property
    def megapixels(self) -> float:
        """Of a picture, about."""
        return ASPECT * (self.size / 1000) ** 2
