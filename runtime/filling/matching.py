"""The search for the patches that fit into a hole best, at one size.

Candidates come from the network, from neighbours and from chance; squared differences of pixels
decide. Barnes, Shechtman, Finkelstein & Goldman 2009, "PatchMatch": neighbours of a patch are
copied from neighbours of its source, so good finds spread, and whole pieces are copied together.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nstbatch.runtime.arrays import Array

from .field import Field
from .patches import STEP, WINDOW, Corners, Ground

# Passes over all candidates in one search (PatchMatch: 4 to 5 iterations).
PASSES = 4

_STEPS = np.array([(STEP, 0), (-STEP, 0), (0, STEP), (0, -STEP)])
_NEAR = np.array([(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)])


def matched(
    pixels: Array, ground: Ground, starts: list[Corners], random: np.random.Generator
) -> Field:
    """Return the field whose patches fit best to the present pixels (H, W, C).

    Args:
        pixels: The picture, its hole filled in some way.
        ground: Its places.
        starts: Sources for the queries to begin with, one or more; they may be invalid.
        random: Draws candidates.
    """
    search = _Search(pixels, ground, random)
    for start in starts:
        search.offer(start)
    for _ in range(PASSES):
        for candidates in search.candidates():
            search.offer(candidates)
    return search.field()


class _Search:
    """The best sources so far, and their scores."""

    def __init__(self, pixels: Array, ground: Ground, random: np.random.Generator) -> None:
        queries = ground.queries
        self._pixels, self._ground, self._random = pixels, ground, random
        self._present = ground.cut(pixels, queries)
        weights = ground.cut(ground.confidence, queries) * WINDOW[..., None]
        self._weights = weights / weights.sum(axis=(1, 2, 3), keepdims=True)
        self._neighbours = _neighbours(ground)
        pool = np.argwhere(ground.whole)
        self._sources: Corners = pool[random.integers(0, len(pool), len(queries))]
        self._scores = self._score(self._sources)

    def candidates(self) -> Iterator[Corners]:
        """Yield candidates for all queries: from neighbours, at random, and one pixel off."""
        for step, neighbours in zip(_STEPS, self._neighbours, strict=True):
            moved = self._sources[neighbours] - step
            yield np.where((neighbours >= 0)[:, None], moved, self._sources)
        reach = max(self._ground.hole.shape) // 4
        while reach > 0:
            yield self._sources + self._random.integers(-reach, reach + 1, self._sources.shape)
            reach //= 2
        for step in _NEAR:
            yield self._sources + step

    def offer(self, candidates: Corners) -> None:
        """Take candidates (Q, 2) where they fit better."""
        candidates = self._ground.around(candidates)
        scores = self._score(candidates)
        better = scores < self._scores
        self._sources = np.where(better[:, None], candidates, self._sources)
        self._scores = np.where(better, scores, self._scores)

    def field(self) -> Field:
        """The field so far; a patch counts less the worse it fits (Wexler et al. 2007)."""
        spread = np.percentile(self._scores, 75) + 1e-6
        weights = np.exp(-np.minimum(self._scores / spread, 50) / 2)
        return Field(self._ground, self._sources, weights.astype(np.float32))

    def _score(self, candidates: Corners) -> NDArray[np.float32]:
        """(Q,): weighted squared difference; infinite for patches that cannot be copied."""
        valid = self._ground.has(candidates)
        patches = self._ground.cut(self._pixels, np.where(valid[:, None], candidates, 0))
        squares = np.square(patches - self._present).sum(axis=3, keepdims=True)
        return np.where(valid, (squares * self._weights).sum(axis=(1, 2, 3)), np.float32(np.inf))


def _neighbours(ground: Ground) -> NDArray[np.intp]:
    """(4, Q): the number of the query one step further, in each direction; -1 for none."""
    numbers = np.full(ground.hole.shape, -1, np.intp)
    rows, columns = ground.queries.T
    numbers[rows, columns] = np.arange(len(ground.queries))
    found = []
    for step in _STEPS:
        places = ground.around(ground.queries + step)
        inside = ground.inside(places)
        rows, columns = np.where(inside[:, None], places, 0).T
        found.append(np.where(inside, numbers[rows, columns], -1))
    return np.stack(found)
