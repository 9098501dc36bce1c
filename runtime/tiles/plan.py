"""The tiles of a picture: windows of one size, and the part of each that counts.

A position of a layer is exact in a window that contains all pixels which the position sees, or that
ends where the picture does. So windows overlap, and each position counts in one of them. All
windows have the same size, and one session serves them all; they begin at multiples of the stride
of the coarsest layer, so their positions lie on the grid of the whole picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.graphs.receptive_field import ReceptiveField, Window


@dataclass(frozen=True)
class Span:
    """A tile along one axis, in pixels; the second of each pair is exclusive."""

    window: tuple[int, int]
    """What the network gets."""
    interior: tuple[int, int]
    """What counts. The interiors of all tiles follow each other, and fill the picture."""
    is_last: bool

    def counting(self, stride: int, positions: int) -> slice:
        """The positions of a layer that count.

        Args:
            stride: Of the layer; divides the stride of the coarsest one.
            positions: Number of the layer's positions in the window.
        """
        start = self.window[0]
        first, end = ((edge - start) // stride for edge in self.interior)
        return slice(first, positions if self.is_last else end)


@dataclass(frozen=True)
class Tile:
    """A tile of a picture."""

    rows: Span
    columns: Span

    def cut(self, images: Array) -> Array:
        """(N, C, H, W) -> its window of the picture, (N, C, h, w), without a copy."""
        return images[:, :, slice(*self.rows.window), slice(*self.columns.window)]

    def counting(self, strides: tuple[int, int], positions: tuple[int, int]) -> tuple[slice, slice]:
        """The rows and columns of a layer that count; see :meth:`Span.counting`."""
        return (
            self.rows.counting(strides[0], positions[0]),
            self.columns.counting(strides[1], positions[1]),
        )

    def mask(self, strides: tuple[int, int], positions: tuple[int, int]) -> Array:
        """(1, 1, h, w): 1 at the positions of a layer that count, and 0 beside them."""
        mask = np.zeros((1, 1, *positions), np.float32)
        mask[(0, 0, *self.counting(strides, positions))] = 1
        return mask

    def place(self, strides: tuple[int, int], positions: tuple[int, int]) -> tuple[slice, slice]:
        """The rows and columns of the whole picture's layer that the window's positions are."""
        rows, columns = self.rows.window[0] // strides[0], self.columns.window[0] // strides[1]
        return slice(rows, rows + positions[0]), slice(columns, columns + positions[1])


def plan_axis(length: int, side: int, seen: Sequence[Window]) -> list[Span]:
    """Divide an axis into tiles; a single one where the picture has room for no more.

    All windows are as large as the largest, so the tiles are as equal as the strides let them be.

    Args:
        length: Of the picture, in pixels.
        side: Of the interiors at most, in pixels.
        seen: What the positions of each layer in use see.
    """
    spans, stride = _spans(length, side, seen), max(window.stride for window in seen)
    for smaller in range(side - stride, 0, -stride):
        equal = _spans(length, smaller, seen)
        if len(equal) > len(spans):
            break
        spans = equal
    return spans


def _spans(length: int, side: int, seen: Sequence[Window]) -> list[Span]:
    """Divide an axis into tiles whose interiors have a side, but for the first and the last."""
    stride = max(window.stride for window in seen)
    before = _rounded_up(max(-window.first for window in seen), stride)
    after = _rounded_up(max(window.last + 1 - window.stride for window in seen), stride)
    least = before + _rounded_up(side, stride) + after
    size = least + (length - least) % stride  # so that the last window ends where the picture does
    if size >= length:
        return [Span((0, length), (0, length), is_last=True)]
    spans, begun = list[Span](), 0
    while not (spans and spans[-1].is_last):
        start = min(max(0, begun - before), length - size)
        is_last = start == length - size
        end = length if is_last else (start + size - after) // stride * stride
        spans.append(Span((start, start + size), (begun, end), is_last))
        begun = end
    return spans


def _rounded_up(pixels: int, stride: int) -> int:
    return -(-max(0, pixels) // stride) * stride


@dataclass(frozen=True)
class Tiling:
    """All tiles of the pictures of one size."""

    tiles: Sequence[Tile]
    strides: Mapping[str, tuple[int, int]]
    """Of each layer in use, down and across."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the windows."""
        tile = self.tiles[0]
        return tuple(span.window[1] - span.window[0] for span in (tile.rows, tile.columns))  # type: ignore[return-value]

    def __iter__(self) -> Iterator[Tile]:
        return iter(self.tiles)

    def __len__(self) -> int:
        return len(self.tiles)


def plan_tiles(size: tuple[int, int], side: int, fields: Mapping[str, ReceptiveField]) -> Tiling:
    """Divide pictures into tiles.

    Args:
        size: Height and width of the pictures.
        side: Side of the tiles' interiors, in pixels.
        fields: The receptive field of each layer in use, and of the image itself.
    """
    rows = plan_axis(size[0], side, [field.rows for field in fields.values()])
    columns = plan_axis(size[1], side, [field.columns for field in fields.values()])
    strides = {layer: (field.rows.stride, field.columns.stride) for layer, field in fields.items()}
    return Tiling([Tile(*spans) for spans in product(rows, columns)], strides)
