"""Finds the plain frame that scans of paintings often have: black bars, or the paper around."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nstbatch.runtime.arrays import Array

from .images import Picture

# How far a pixel of the frame may be from the frame's colour, in each channel: 20 of 255 levels,
# for the noise of a scan and of JPEG. This and the shares below are guesses, held against the
# paintings in examples/ and in tests/runtime/pictures/test_frame.py.
_SAME_COLOUR = 20 / 255
# Share of a picture's side that a frame may take at each edge.
_WIDEST = 0.15
# A scan may lie at a slant, so the depth of its frame varies: by this share of the side.
_SLANT = 0.02
# Share of the lines at an edge that must have the frame, and that are free of it afterwards.
_MOST = 0.98
# The painting's outermost pixels are mixed with the frame, by the lens and by JPEG.
_MIXED = 2


@dataclass(frozen=True)
class Frame:
    """Width of a frame at each edge, in pixels."""

    top: int
    right: int
    bottom: int
    left: int

    def __bool__(self) -> bool:
        """Return True if there is a frame at any edge."""
        return any((self.top, self.right, self.bottom, self.left))

    def shares(self, height: int, width: int) -> str:
        """Return the widths in words, as shares of a picture of this size.

        The picture may have been read at a fraction of its size, so its pixels are not the file's.
        """
        edges = {"top": self.top / height, "right": self.right / width}
        edges |= {"bottom": self.bottom / height, "left": self.left / width}
        return ", ".join(f"{share:.1%} at the {edge}" for edge, share in edges.items() if share)

    def cut_off(self, pixels: Array) -> Array:
        """Return the part of a picture (H, W, ...) within the frame."""
        height, width = pixels.shape[:2]
        return pixels[self.top : height - self.bottom, self.left : width - self.right]


def without_frame(picture: Picture) -> tuple[Picture, Frame]:
    """Cut the frame off a picture; the picture itself if it has none."""
    frame = find_frame(picture.pixels)
    if not frame:
        return picture, frame
    alpha = None if picture.alpha is None else frame.cut_off(picture.alpha)
    return Picture(frame.cut_off(picture.pixels), alpha), frame


def find_frame(pixels: Array) -> Frame:
    """Find the frame of a picture: an edge of one colour and of an even width.

    An edge at which the picture's own colours run deep into it in some places, such as a sky or a
    plain background, counts as none.

    Args:
        pixels: (H, W, 3), in [0, 1].
    """
    turned = [np.rot90(pixels, quarter) for quarter in range(4)]  # its edge comes to the top
    top, right, bottom, left = (_width_at_top(edge) for edge in turned)
    return Frame(top, right, bottom, left)


def _width_at_top(pixels: Array) -> int:
    height = pixels.shape[0]
    widest = int(_WIDEST * height)
    band = pixels[: widest + 1]
    colour = np.median(band[0], axis=0)
    depths = _depths(np.abs(band - colour).max(axis=2) <= _SAME_COLOUR)
    depths = _without_corners(depths, len(band))
    shallow, deep = np.quantile(depths, [1 - _MOST, _MOST])
    if shallow < 1 or deep > widest or deep - shallow > max(_MIXED, _SLANT * height):
        return 0
    return int(deep) + _MIXED


def _without_corners(depths: NDArray[np.intp], deepest: int) -> NDArray[np.intp]:
    """Leave out the columns that the frame of the other edges covers."""
    most = int(_WIDEST * len(depths))
    is_other = depths < deepest
    left = min(int(is_other.argmax()), most)
    right = min(int(is_other[::-1].argmax()), most)
    return depths[left : len(depths) - right]


def _depths(in_frame: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Number of pixels of the frame from the top down, for each column (H, W)."""
    is_other = ~in_frame
    return np.where(is_other.any(axis=0), is_other.argmax(axis=0), len(in_frame))
