"""The loss of a run in a few points, so that the ledger of thousands of pictures stays small."""

from __future__ import annotations

import math

POINTS = 64


class Curve:
    """Keeps one point in every 1, 2, 4, ... of a run, and the last point."""

    def __init__(self) -> None:
        """Start without points."""
        self._begin()

    def _begin(self) -> None:
        self._kept: list[list[float]] = []
        self._latest: list[float] | None = None
        self._every, self._seen = 1, 0

    def add(self, step: int, loss: float) -> None:
        """Add a point, unless its loss is not finite."""
        if not math.isfinite(loss):
            return
        if self._latest is not None and step < self._latest[0]:  # the painter tries again
            self._begin()
        self._latest = [step, loss]
        if len(self._kept) == POINTS - 1:  # one is left for the last point
            self._kept = self._kept[::2]
            self._every *= 2
        if self._seen % self._every == 0:
            self._kept.append(self._latest)
        self._seen += 1

    @property
    def points(self) -> list[list[float]]:
        """``[[step, loss], ...]``, at most :data:`POINTS` of them."""
        if self._latest is None or self._kept[-1] is self._latest:
            return self._kept
        return [*self._kept, self._latest]
