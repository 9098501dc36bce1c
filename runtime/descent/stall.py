"""When a loss has stalled: no more steps are taken for what they would still bring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from nstbatch.runtime.arrays import Array

# A loss may go up and down from step to step, with Adam above all: a single step says little. A
# guess.
WINDOW = 20


Seen: TypeAlias = Sequence[tuple[float, float]]
"""Steps, and the total loss after so many."""


class Stall:
    """Watches the losses of one run at one size."""

    def __init__(self, tolerance: float | None, seen: Seen = ()) -> None:
        """Begin with the first loss, or go on.

        Args:
            tolerance: By what share the lowest loss has to fall over :data:`WINDOW` steps, for
                more of them to be taken; None for whatever comes of it.
            seen: What was seen before.
        """
        self._tolerance = tolerance
        self.seen = list(seen)
        """What was seen so far: every step, or on a GPU every look."""

    def __call__(self, step: int, losses: Array) -> bool:
        """Tell whether the losses (N, T) after so many steps are not enough below those before."""
        self.seen.append((step, float(losses.sum(dtype=float))))
        earlier = [total for when, total in self.seen if when <= step - WINDOW]
        if self._tolerance is None or not earlier:
            return False
        latest = [total for when, total in self.seen if when > step - WINDOW]
        return min(earlier) - min(latest) < self._tolerance * abs(min(earlier))
