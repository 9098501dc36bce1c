"""What the passes over tiles take, cut out of what belongs to whole pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nstbatch.runtime.arrays import Array, Shape, Shapes
from nstbatch.runtime.names import GUIDE, IMAGE, TARGET
from nstbatch.runtime.objectives.terms import Term
from nstbatch.runtime.objectives.tiled_losses import layer_of, mask_of, tiled_loss

from .plan import Tile, Tiling

Sums: TypeAlias = dict[str, NDArray[np.float64]]


class TileInputs:
    """Cuts the inputs of some terms to tiles."""

    def __init__(
        self, terms: Iterable[Term], tiling: Tiling, sides: Mapping[str, tuple[int, int]]
    ) -> None:
        """Take terms and tiles.

        Args:
            terms: The terms.
            tiling: The tiles.
            sides: Height and width of each layer in use, and of the image, in a window.
        """
        self._tiling, self._sides = tiling, sides
        self._masks = {mask_of(term): layer_of(term) for term in terms}
        self._cut = {GUIDE + term.name: layer_of(term) for term in terms if term.guided}
        self._cut |= {
            TARGET + term.name: layer_of(term) for term in terms if tiled_loss(term).is_local
        }

    def shapes(self, whole: Shapes) -> dict[str, Shape]:
        """Shapes of :meth:`cut`, given the shapes of what belongs to whole pictures."""
        found: dict[str, Shape] = {IMAGE: (*whole[IMAGE][:2], *self._tiling.size)}
        for name, layer in self._cut.items():
            if name in whole:
                shape = whole[name]
                found[name] = (*shape[:2], *self._sides[layer]) if _has_positions(shape) else shape
        return found

    def cut(self, tile: Tile, whole: Mapping[str, Array]) -> dict[str, Array]:
        """The images, targets and guides of a tile.

        Args:
            tile: The tile.
            whole: Those of whole pictures; targets that are not given are left out.
        """
        found = {IMAGE: tile.cut(whole[IMAGE])}
        for name, layer in self._cut.items():
            if name in whole:
                values = whole[name]
                place = tile.place(self._tiling.strides[layer], self._sides[layer])
                found[name] = values[(..., *place)] if _has_positions(values.shape) else values
        return found

    def mask_shapes(self) -> dict[str, Shape]:
        """Shapes of :meth:`masks`."""
        return {name: (1, 1, *self._sides[layer]) for name, layer in self._masks.items()}

    def masks(self, tile: Tile) -> dict[str, Array]:
        """The masks of a tile, by name."""
        return {
            name: tile.mask(self._tiling.strides[layer], self._sides[layer])
            for name, layer in self._masks.items()
        }


def _has_positions(shape: Shape) -> bool:
    """True for values with a row and a column for each position; False for those of channels."""
    return len(shape) == 4 and shape[2:] != (1, 1)


def added_up(parts: Iterable[Mapping[str, Array]]) -> Sums:
    """Add up the sums of all tiles, by name; in double precision, since there may be hundreds."""
    totals: Sums = {}
    for part in parts:
        for name, values in part.items():
            totals[name] = totals.get(name, 0.0) + values.astype(np.float64)
    return totals
