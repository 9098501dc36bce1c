"""The nearest-neighbour field: the patch that each patch of a hole is copied from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nstbatch.runtime.arrays import Array

from .patches import SIDE, STEP, Corners, Ground


@dataclass(frozen=True, eq=False)
class Field:
    """A patch of the picture for each patch of its hole.

    Attributes:
        ground: The picture's places.
        sources: For each query of the ground, where its patch is copied from.
        weights: (Q,): its share where copies overlap; above 0.
    """

    ground: Ground
    sources: Corners
    weights: Array

    def apply(self, pixels: Array) -> Array:
        """Fill the hole of a picture or a map, (H, W, C) of the picture's size."""
        return self.ground.copied(pixels, self.ground.queries, self.sources, self.weights)

    def enlarged(self, ground: Ground) -> Corners:
        """Return sources for the queries of a larger picture: copied from as far, to scale.

        A query takes after the nearest one of the smaller picture. Some lie in no valid place.
        """
        small, large = np.array(self.ground.hole.shape), np.array(ground.hole.shape)
        cells = -(-small // STEP)
        moves = np.zeros((*cells, 2))
        rows, columns = (self.ground.queries // STEP).T
        moves[rows, columns] = self._moves()
        middles = (ground.queries + SIDE / 2) * small / large - SIDE / 2
        nearest = np.clip(np.rint(middles / STEP).astype(np.intp), 0, cells - 1)
        moved = moves[nearest[:, 0], nearest[:, 1]] * large / small
        return ground.around(ground.queries + np.rint(moved).astype(np.intp))

    def _moves(self) -> Corners:
        """(Q, 2): how far each source lies from its query."""
        return self.sources - self.ground.queries
