"""A step that is computed tile by tile: a session like any other, whose memory depends on the tile.

It takes two passes over the tiles. The first adds up what the losses need of each tile; the second
adds up the gradients. So losses and gradient equal those of the whole pictures but for rounding,
and the loop and the optimiser see no difference. No other open tool does this on a processor; SPST
(2023) does it on one GPU, for style transfer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nstbatch.runtime.arrays import Array, Shapes
from nstbatch.runtime.names import (
    ELEMENTS,
    GRADIENT,
    IMAGE,
    LOSSES,
    TARGET,
    WEIGHT,
)
from nstbatch.runtime.objectives.terms import Term
from nstbatch.runtime.objectives.tiled_losses import layer_of, mask_of, tiled_loss

from .session import BoundPass, Buffer, Session, values_of
from .tiles import Tile, Tiling

Sums: TypeAlias = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class TileSessions:
    """The sessions of a tiled step; see :mod:`nstbatch.runtime.graphs.tile_graphs`."""

    sums: Session
    finish: Session
    pulls: Session


class TiledStep:
    """The step of pictures that are computed tile by tile. See :class:`.session.Session`."""

    is_captured = False

    def __init__(
        self,
        sessions: TileSessions,
        terms: Sequence[Term],
        tiling: Tiling,
        sides: Mapping[str, tuple[int, int]],
        elements: Mapping[str, float],
        shape: tuple[int, ...],
    ) -> None:
        """Take sessions for the tiles of pictures.

        Args:
            sessions: For windows of the tiles' size.
            terms: Terms of the objective.
            tiling: The tiles.
            sides: Height and width of each layer in use, and of the image, in a window.
            elements: C H W of the whole picture, by layer, and for the image.
            shape: Of the pictures, (N, 3, H, W).
        """
        self._sessions, self._terms, self._tiling = sessions, terms, tiling
        self._sides = sides
        self._elements = {
            ELEMENTS + term.name: np.array([elements[layer_of(term)]], np.float32) for term in terms
        }
        self._local = {TARGET + term.name for term in terms if tiled_loss(term).is_local}
        self.output_shapes: Shapes = {LOSSES: (shape[0], len(terms)), GRADIENT: shape}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Compute losses and gradient; see :meth:`.session.Session.run`."""
        images = inputs[IMAGE]
        gradient = np.zeros(images.shape, np.float32)
        losses = self._into(gradient, images, inputs)
        return {LOSSES: losses, GRADIENT: gradient}

    def buffer(self, values: ArrayLike) -> Buffer:
        """Make a float32 buffer with these values, in the memory of the processor."""
        return self._sessions.pulls.buffer(values)

    def bind(self, inputs: Mapping[str, Buffer], outputs: Mapping[str, Buffer]) -> BoundPass:
        """Make a pass over fixed buffers; see :meth:`.session.Session.bind`."""
        read = {name: values_of(buffer) for name, buffer in inputs.items()}
        written = {name: values_of(buffer) for name, buffer in outputs.items()}
        held = (*inputs.values(), *outputs.values())

        def one_pass() -> None:
            assert held  # the arrays know only the buffers' addresses
            gradient = written[GRADIENT]
            gradient.fill(0)
            written[LOSSES][:] = self._into(gradient, read[IMAGE], read)

        return one_pass

    def _into(self, gradient: Array, images: Array, given: Mapping[str, Array]) -> Array:
        """Add the gradient of the images to an array of zeros, and return the losses (N, T)."""
        totals = added_up(
            self._sessions.sums.run(self._inputs(tile, images, given)) for tile in self._tiling
        )
        finished = self._finish(totals, given)
        losses = finished.pop(LOSSES)
        for tile in self._tiling:
            inputs = self._inputs(tile, images, given) | finished
            tile.cut(gradient)[:] += self._sessions.pulls.run(inputs)[GRADIENT]
        return losses

    def _finish(self, totals: Sums, given: Mapping[str, Array]) -> dict[str, Array]:
        inputs = {name: values.astype(np.float32) for name, values in totals.items()}
        for term in self._terms:
            inputs[WEIGHT + term.name] = given[WEIGHT + term.name]
            target = TARGET + term.name
            if term.has_target and target not in self._local:
                inputs[target] = given[target]
        return self._sessions.finish.run(inputs | self._elements)

    def _inputs(self, tile: Tile, images: Array, given: Mapping[str, Array]) -> dict[str, Array]:
        """The inputs of a pass over a tile: its window, masks and local targets."""
        inputs = {IMAGE: tile.cut(images)}
        for term in self._terms:
            layer = layer_of(term)
            strides, sides = self._tiling.strides[layer], self._sides[layer]
            inputs[mask_of(term)] = tile.mask(strides, sides)
            if (name := TARGET + term.name) in self._local:
                inputs[name] = cut_of(given[name], tile, strides, sides)
        return inputs


def added_up(parts: Iterable[Mapping[str, Array]]) -> Sums:
    """Add up the sums of all tiles, by name; in double precision, since there may be hundreds."""
    totals: Sums = {}
    for part in parts:
        for name, values in part.items():
            totals[name] = totals.get(name, 0.0) + values.astype(np.float64)
    return totals


def cut_of(values: Array, tile: Tile, strides: tuple[int, int], sides: tuple[int, int]) -> Array:
    """The part of a layer's values in a window; all of them if they have no positions."""
    if values.ndim < 4 or values.shape[2:] == (1, 1):
        return values
    return values[(slice(None), slice(None), *tile.place(strides, sides))]
