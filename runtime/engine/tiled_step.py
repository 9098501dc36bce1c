"""A step that is computed tile by tile: a session like any other, whose memory depends on the tile.

It takes two passes over the tiles. The first adds up what the losses need of each tile; the second
adds up the gradients. So losses and gradient equal those of the whole pictures but for rounding,
and the loop and the optimiser see no difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from nstbatch.runtime.arrays import Array, Shapes
from nstbatch.runtime.names import GRADIENT, IMAGE, LOSSES, TARGET, WEIGHT
from nstbatch.runtime.objectives.terms import Term
from nstbatch.runtime.objectives.tiled_losses import tiled_loss
from nstbatch.runtime.tiles.inputs import Sums, TileInputs, added_up
from nstbatch.runtime.tiles.plan import Tile, Tiling

from .session import BoundPass, Buffer, Session, values_of


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
        inputs: TileInputs,
        elements: Mapping[str, Array],
        shape: tuple[int, ...],
    ) -> None:
        """Take sessions for the tiles of pictures.

        Args:
            sessions: For windows of the tiles' size.
            terms: Terms of the objective.
            tiling: The tiles.
            inputs: Cuts the inputs of the terms.
            elements: See :func:`nstbatch.runtime.objectives.tiled_losses.elements_of`, by the names
                of the inputs.
            shape: Of the pictures, (N, 3, H, W).
        """
        self._sessions, self._tiling, self._inputs = sessions, tiling, inputs
        self._elements = elements
        self._between = [WEIGHT + term.name for term in terms]
        self._between += [
            TARGET + term.name
            for term in terms
            if term.has_target and not tiled_loss(term).is_local
        ]
        self.output_shapes: Shapes = {LOSSES: (shape[0], len(terms)), GRADIENT: shape}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Compute losses and gradient; see :meth:`.session.Session.run`."""
        gradient = np.zeros(inputs[IMAGE].shape, np.float32)
        return {LOSSES: self.add_to(gradient, inputs), GRADIENT: gradient}

    def buffer(self, values: ArrayLike) -> Buffer:
        """Make a float32 buffer with these values, in the memory of the processor."""
        return self._sessions.pulls.buffer(values)

    def bind(self, inputs: Mapping[str, Buffer], outputs: Mapping[str, Buffer]) -> BoundPass:
        """Make a pass over fixed buffers; see :meth:`.session.Session.bind`."""
        return partial(self._pass, inputs, outputs)

    def _pass(self, inputs: Mapping[str, Buffer], outputs: Mapping[str, Buffer]) -> None:
        read = {name: values_of(buffer) for name, buffer in inputs.items()}
        gradient = values_of(outputs[GRADIENT])
        gradient.fill(0)
        values_of(outputs[LOSSES])[:] = self.add_to(gradient, read)

    def add_to(self, gradient: Array, whole: Mapping[str, Array]) -> Array:
        """Add the gradient of the images to an array of zeros, and return the losses (N, T)."""

        def seen(tile: Tile) -> dict[str, Array]:
            return self._inputs.cut(tile, whole) | self._inputs.masks(tile)

        totals = added_up(self._sessions.sums.run(seen(tile)) for tile in self._tiling)
        slopes = self._finish(totals, whole)
        losses = slopes.pop(LOSSES)
        for tile in self._tiling:
            tile.cut(gradient)[:] += self._sessions.pulls.run(seen(tile) | slopes)[GRADIENT]
        return losses

    def _finish(self, totals: Sums, whole: Mapping[str, Array]) -> dict[str, Array]:
        sums = {name: values.astype(np.float32) for name, values in totals.items()}
        given = {name: whole[name] for name in self._between}
        return self._sessions.finish.run({**sums, **given, **self._elements})
