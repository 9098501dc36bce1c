"""When a loss has stalled: no more steps are taken for what they would still bring."""

from __future__ import annotations

from collections.abc import Sequence

from .session import Array

# Adam's loss goes up and down from step to step, so single steps say little. A guess: two fifths of
# the steps that a size has by default.
WINDOW = 20


class Stall:
    """Watches the losses of one run at one size."""

    def __init__(self, tolerance: float | None, totals: Sequence[float] = ()) -> None:
        """Begin with the first loss, or go on.

        Args:
            tolerance: By what share the lowest loss has to fall over :data:`WINDOW` steps, for
                more of them to be taken; None for whatever comes of it.
            totals: The losses that were seen before.
        """
        self._tolerance = tolerance
        self.totals = list(totals)
        """The total of every evaluation so far."""

    def __call__(self, losses: Array) -> bool:
        """Tell whether these losses, (N, T), are not enough lower than those of before."""
        self.totals.append(float(losses.sum(dtype=float)))
        earlier, latest = self.totals[:-WINDOW], self.totals[-WINDOW:]
        if self._tolerance is None or not earlier:
            return False
        return min(earlier) - min(latest) < self._tolerance * abs(min(earlier))
