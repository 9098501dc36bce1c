"""A picture stored as a Laplacian pyramid (Burt & Adelson 1983): its variables in NNST.

A pyramid holds a small picture and the details that each enlargement by two lacks. A step of the
optimiser moves all of them, so it moves whole areas as easily as single pixels. This is a change of
coordinates: every picture can still be reached.

All parts lie in one array, (N, 3, 1, M), from coarse to fine, each flat: the optimisers take images
of one shape. A chain of views, one for each octave, makes pixels of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.formulas.formula import Formula

from .views import View

FORMULAS = "nstbatch.runtime.formulas.laplacian"

# NNST's pyramids have eight octaves. Pictures whose short side is smaller than this are not halved
# again: a guess, since such a picture has little but its mean colour.
SMALLEST_SIDE = 8
MOST_OCTAVES = 8


@dataclass(frozen=True)
class Laplacian:
    """The pyramids of pictures of one size.

    Attributes:
        height: Height of the pictures, in pixels, at least 2.
        width: Width of the pictures, in pixels, at least 2.
    """

    height: int
    width: int

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """The heights and widths of its parts, from coarse to fine: two or more."""
        sizes = [(self.height, self.width)]
        while len(sizes) < 2 or (len(sizes) <= MOST_OCTAVES and min(sizes[0]) >= SMALLEST_SIDE):
            sizes.insert(0, (sizes[0][0] // 2, sizes[0][1] // 2))
        return sizes

    @property
    def length(self) -> int:
        """The number M of its values for each colour."""
        return sum(map(math.prod, self.sizes))

    @property
    def views(self) -> tuple[View, ...]:
        """The views from a packed pyramid to pixels."""
        sizes = self.sizes
        return tuple(
            _octave(coarse, fine, is_last=fine is sizes[-1]) for coarse, fine in pairwise(sizes)
        )

    def pack(self, images: Array) -> Array:
        """Pictures (N, 3, height, width) -> their pyramids, (N, 3, 1, M)."""
        parts: list[Array] = []
        for coarse, fine in reversed(list(pairwise(self.sizes))):
            smaller = _resized(images, coarse)
            parts.insert(0, _flat(images - _resized(smaller, fine)))
            images = smaller
        return np.concatenate([_flat(images), *parts], axis=3)

    def unpack(self, packed: Array) -> Array:
        """Pyramids (N, 3, 1, M) -> pictures (N, 3, height, width)."""
        ends = np.cumsum([math.prod(size) for size in self.sizes])[:-1]
        picture, *details = (
            part.reshape(*packed.shape[:2], *size)
            for part, size in zip(np.split(packed, ends, axis=3), self.sizes, strict=True)
        )
        for detail in details:
            picture = _resized(picture, detail.shape[2:]) + detail
        return picture


def _octave(coarse: tuple[int, int], fine: tuple[int, int], *, is_last: bool) -> View:
    last = "last_" if is_last else ""
    names = ("height", "width", "finer_height", "finer_width")
    return View(
        "octave",
        Formula(FORMULAS, f"see_{last}octave"),
        Formula(FORMULAS, f"pull_back_{last}octave"),
        attributes=tuple(zip(names, (*coarse, *fine), strict=True)),
    )


def _flat(images: Array) -> Array:
    return images.reshape(*images.shape[:2], 1, -1)


def _resized(images: Array, size: tuple[int, ...]) -> Array:
    """Resize (N, 3, H, W) bilinearly, as the views do."""
    rows, columns = (_bilinear(*lengths) for lengths in zip(images.shape[2:], size, strict=True))
    return np.asarray(rows @ images @ columns.T, np.float32)


def _bilinear(before: int, after: int) -> Array:
    """The matrix (after, before) that resizes an axis; see `nstbatch.runtime.formulas.resizing`."""
    centres = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, before - 1)
    distance = np.abs(centres[:, None] - np.arange(before))
    return np.asarray(np.maximum(1 - distance, 0), np.float32)
