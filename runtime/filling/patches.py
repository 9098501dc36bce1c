"""The patches of a picture with a hole, and the pixels that copies of patches give.

A patch is a square of :data:`SIDE` pixels, named by its upper left corner, (row, column). A picture
that tiles continues at its opposite edges, and so do its patches.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from nstbatch.runtime.arrays import Array

# Pixels. A guess, as wide as what the columns of shallow layers see: 8 repeats small pieces, 16
# gives softer edges.
SIDE = 12

# The patches that fill a hole lie so far apart, as the network's columns do; so three overlap.
STEP = 4

Corners = NDArray[np.intp]
"""(P, 2): rows and columns of upper left corners."""

_OFFSETS = np.arange(SIDE)
_BELL = np.exp(-(((_OFFSETS - (SIDE - 1) / 2) / (SIDE / 4)) ** 2) / 2)
WINDOW: Array = np.outer(_BELL, _BELL).astype(np.float32)
"""(SIDE, SIDE): the weights of a patch's pixels; its middle counts most."""


@dataclass(frozen=True, eq=False)
class Ground:
    """The places of a picture, and those of its hole.

    Attributes:
        hole: (H, W), True where pixels are to be made.
        tiles: True if the picture continues at its opposite edges.
    """

    hole: NDArray[np.bool_]
    tiles: bool = False

    @cached_property
    def whole(self) -> NDArray[np.bool_]:
        """(H, W): True at the corners of patches that lie in the picture and hold no hole."""
        return np.asarray(self._holes(True) == 0)

    @cached_property
    def queries(self) -> Corners:
        """The patches that have pixels of the hole, on a grid."""
        grid = self._grid()
        return grid[self._holes(False)[grid[:, 0], grid[:, 1]] > 0]

    @cached_property
    def pool(self) -> Corners:
        """The patches without any of the hole, on the same grid."""
        grid = self._grid()
        return grid[self.whole[grid[:, 0], grid[:, 1]]]

    @cached_property
    def confidence(self) -> Array:
        """(H, W, 1): 1 outside the hole, and less towards its middle.

        A pixel is worth a fifth less for each pixel to the border (Wexler, Shechtman & Irani 2007,
        "Space-Time Completion of Video", section 3.1, with a base of 1.3).
        """
        size = self.hole.shape
        seen = np.tile(self.hole, (3, 3)) if self.tiles else self.hole
        distance = cv2.distanceTransform(seen.astype(np.uint8), cv2.DIST_L2, 5)
        if self.tiles:
            distance = distance[size[0] : 2 * size[0], size[1] : 2 * size[1]]
        # Bounded, since its powers would become zero.
        return np.asarray(1.25 ** -np.minimum(distance, 100)[..., None], np.float32)

    def has(self, corners: Corners) -> NDArray[np.bool_]:
        """(P,): True for patches that are in the picture and hold no hole."""
        inside = self.inside(corners)
        rows, columns = np.where(inside[:, None], corners, 0).T
        return np.asarray(inside & self.whole[rows, columns])

    def inside(self, corners: Corners) -> NDArray[np.bool_]:
        """(P,): True for corners that are pixels of the picture."""
        within = np.logical_and(corners >= 0, corners < np.array(self.hole.shape))
        return np.asarray(within.all(axis=1))

    def around(self, corners: Corners) -> Corners:
        """Corners of a picture that tiles, brought into it; others as they are."""
        return corners % np.array(self.hole.shape) if self.tiles else corners

    def cut(self, pixels: Array, corners: Corners) -> Array:
        """Pixels (H, W, C) -> their patches, (P, SIDE, SIDE, C)."""
        rows, columns = self._places(corners)
        return pixels[rows[:, :, None], columns[:, None, :]]

    def covered(self, corners: Corners) -> NDArray[np.bool_]:
        """(H, W): True for the pixels of these patches."""
        covered = np.zeros(self.hole.shape, np.bool_)
        rows, columns = self._places(corners)
        covered[rows[:, :, None], columns[:, None, :]] = True
        return covered

    def copied(self, pixels: Array, queries: Corners, sources: Corners, weights: Array) -> Array:
        """Fill the hole of (H, W, C) with the mean of the patches that are copied there.

        Args:
            pixels: A picture or a map; a channel may be anything that has a mean.
            queries: Where patches are copied to; those on no query stay as they are.
            sources: Where they are copied from.
            weights: (P,), above 0.
        """
        sums = np.zeros(pixels.shape, np.float64)
        total = np.zeros((*self.hole.shape, 1))
        rows, columns = self._places(queries)
        patches = self.cut(pixels, sources)
        # The corners differ, so no place comes twice within one step.
        for down in range(SIDE):
            for right in range(SIDE):
                share = (weights * WINDOW[down, right])[:, None]
                place = rows[:, down], columns[:, right]
                sums[place] += share * patches[:, down, right]
                total[place] += share
        made = self.hole[..., None] & (total > 0)
        return np.where(made, sums / np.maximum(total, 1e-300), pixels).astype(pixels.dtype)

    def _places(self, corners: Corners) -> tuple[Corners, Corners]:
        height, width = self.hole.shape
        return (corners[:, :1] + _OFFSETS) % height, (corners[:, 1:] + _OFFSETS) % width

    def _grid(self) -> Corners:
        sides = [self._starts(length) for length in self.hole.shape]
        return np.stack(np.meshgrid(*sides, indexing="ij"), -1).reshape(-1, 2)

    def _starts(self, length: int) -> Corners:
        if self.tiles:
            return np.arange(0, length, STEP)
        return np.unique(np.append(np.arange(0, length - SIDE + 1, STEP), length - SIDE))

    def _holes(self, beyond: bool) -> NDArray[np.int32]:
        """(H, W): the number of the hole's pixels in each patch; ``beyond`` says what edges are."""
        room = ((0, SIDE - 1), (0, SIDE - 1))
        if self.tiles:
            padded = np.pad(self.hole, room, mode="wrap")
        else:
            padded = np.pad(self.hole, room, constant_values=beyond)
        sums = np.asarray(cv2.integral(padded.astype(np.uint8)), np.int32)
        return sums[SIDE:, SIDE:] - sums[:-SIDE, SIDE:] - sums[SIDE:, :-SIDE] + sums[:-SIDE, :-SIDE]
