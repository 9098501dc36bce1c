"""Detection of a stalled loss, when further steps gain too little."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from nstbatch.runtime.arrays import Array

# A loss may go up and down from step to step, most of all with Adam: a single step says little. A
# guess.
WINDOW = 20


Seen: TypeAlias = Sequence[tuple[float, float]]
"""Number of steps, and the total loss after them."""


class Stall:
    """Watches the losses of one run at one size."""

    def __init__(self, tolerance: float | None, seen: Seen = ()) -> None:
        """Begin with the first loss, or continue.

        Args:
            tolerance: Smallest share by which the lowest loss must fall over :data:`WINDOW` steps;
                None never stalls.
            seen: Losses from before a break.
        """
        self._tolerance = tolerance
        self.seen = list(seen)
        """Losses so far: of every step, or on a GPU of every look."""

    def __call__(self, step: int, losses: Array) -> bool:
        """Add the losses (N, T) after a number of steps; tell whether they have stalled."""
        self.seen.append((step, float(losses.sum(dtype=float))))
        earlier = [total for when, total in self.seen if when <= step - WINDOW]
        if self._tolerance is None or not earlier:
            return False
        latest = [total for when, total in self.seen if when > step - WINDOW]
        return min(earlier) - min(latest) < self._tolerance * abs(min(earlier))
