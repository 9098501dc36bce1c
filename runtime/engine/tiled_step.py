"""A step that is computed tile by tile: a session like any other, whose memory depends on the tile.

It takes two passes over the tiles. The first adds up what the losses need of each tile; the second
adds up the gradients. So losses and gradient equal those of the whole pictures but for rounding,
and the loop and the optimiser see no difference.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from nstbatch.runtime.arrays import Array, Shapes
from nstbatch.runtime.devices.out_of_memory import is_out_of_memory
from nstbatch.runtime.names import GRADIENT, IMAGE, LOSSES, TARGET, WEIGHT
from nstbatch.runtime.objectives.terms import Term
from nstbatch.runtime.objectives.tiled_losses import tiled_loss
from nstbatch.runtime.tiles.inputs import Sums, TileInputs, added_up
from nstbatch.runtime.tiles.plan import Tile, Tiling

from .session import BoundPass, Buffer, Session, values_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TileSessions:
    """The sessions of a tiled step; see :mod:`nstbatch.runtime.graphs.tile_graphs`."""

    sums: Session
    finish: Session
    pulls: Session


@dataclass(frozen=True)
class TileParts:
    """The tiles of a step, and all that is computed on them.

    Attributes:
        sessions: For windows of the tiles' size.
        tiling: The tiles.
        inputs: Cuts the inputs of the terms.
    """

    sessions: TileSessions
    tiling: Tiling
    inputs: TileInputs


class TiledStep:
    """The step of pictures that are computed tile by tile. See :class:`.session.Session`."""

    is_captured = False

    def __init__(
        self,
        parts: TileParts,
        terms: Sequence[Term],
        elements: Mapping[str, Array],
        shape: tuple[int, ...],
        smaller: Callable[[], TileParts],
    ) -> None:
        """Take sessions for the tiles of pictures.

        Args:
            parts: The tiles.
            terms: Terms of the objective.
            elements: See :func:`nstbatch.runtime.objectives.tiled_losses.elements_of`, by the names
                of the inputs.
            shape: Of the pictures, (N, 3, H, W).
            smaller: Halves the tiles, after they did not fit into memory; a MemoryError if they
                cannot be smaller.
        """
        self._parts, self._smaller = parts, smaller
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
        return self._parts.sessions.pulls.buffer(values)

    def bind(self, inputs: Mapping[str, Buffer], outputs: Mapping[str, Buffer]) -> BoundPass:
        """Make a pass over fixed buffers; see :meth:`.session.Session.bind`."""
        return partial(self._pass, inputs, outputs)

    def _pass(self, inputs: Mapping[str, Buffer], outputs: Mapping[str, Buffer]) -> None:
        read = {name: values_of(buffer) for name, buffer in inputs.items()}
        gradient = values_of(outputs[GRADIENT])
        gradient.fill(0)
        values_of(outputs[LOSSES])[:] = self.add_to(gradient, read)

    def add_to(self, gradient: Array, whole: Mapping[str, Array]) -> Array:
        """Add the gradient of the images to an array of zeros, and return the losses (N, T).

        Running out of memory halves the tiles and begins again, so a run goes on where it is.
        """
        while True:
            try:
                return self._add_to(gradient, whole)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                log.warning("not enough memory for the tiles, going on with smaller ones")
            # Not in the except clause: the traceback keeps the arrays of all its functions alive.
            self._parts = self._smaller()
            gradient.fill(0)

    def _add_to(self, gradient: Array, whole: Mapping[str, Array]) -> Array:
        sessions, tiling, inputs = self._parts.sessions, self._parts.tiling, self._parts.inputs

        def seen(tile: Tile) -> dict[str, Array]:
            return inputs.cut(tile, whole) | inputs.masks(tile)

        totals = added_up(sessions.sums.run(seen(tile)) for tile in tiling)
        slopes = self._finish(totals, whole)
        losses = slopes.pop(LOSSES)
        for tile in tiling:
            tile.cut(gradient)[:] += sessions.pulls.run(seen(tile) | slopes)[GRADIENT]
        return losses

    def _finish(self, totals: Sums, whole: Mapping[str, Array]) -> dict[str, Array]:
        sums = {name: values.astype(np.float32) for name, values in totals.items()}
        given = {name: whole[name] for name in self._between}
        return self._parts.sessions.finish.run({**sums, **given, **self._elements})
