"""Chooses the side of the tiles by the memory that pictures may take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

# From large to small, since large tiles overlap less. A guess: below 64 pixels, windows are nearly
# all overlap.
SIDES = (1024, 768, 512, 384, 256, 192, 128, 96, 64)

SMALLEST_TILE = SIDES[-1]
# Tiles of pictures that did not fit as a whole; smaller ones are found by halving.
LARGE_TILE = 512


@dataclass(frozen=True)
class TileChoice:
    """The side of the tiles, and whether their peak of memory is within the limit."""

    side: int | None
    """In pixels; None to compute the picture as a whole."""
    peak: int
    """Bytes of the process at its peak."""
    fits: bool


def choose_tile(peak: Callable[[int | None], int], limit: int, long_side: int) -> TileChoice:
    """Return the largest tile that fits into memory, or the smallest if none does.

    Args:
        peak: Estimates the peak for a side of the tiles in pixels, or None for whole pictures.
        limit: Bytes that the process may take.
        long_side: Of the largest picture, in pixels.
    """
    found = TileChoice(None, peak(None), fits=False)
    for side in (None, *(side for side in SIDES if side < long_side)):
        needed = peak(side)
        if needed <= limit:
            return TileChoice(side, needed, fits=True)
        found = min(found, TileChoice(side, needed, fits=False), key=lambda each: each.peak)
    return found
