"""An estimate of the time that a batch still takes."""

from __future__ import annotations

import time
from collections.abc import Callable

ENOUGH = 1.0
"""Seconds of steps after which there is an estimate; a guess."""


class TimeLeft:
    """Estimates the time left from the work done since the first report.

    The time before that goes into loading, and says nothing about steps.
    """

    def __init__(self, total: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without an estimate.

        Args:
            total: All the work, in pictures.
            clock: Returns the time in seconds.
        """
        self._total = total
        self._clock = clock
        self._first = self._last = (0.0, 0.0)
        self._begun = False

    def update(self, done: float) -> None:
        """Note the work that is done by now, in pictures."""
        now = (self._clock(), done)
        if not self._begun or done < self._first[1]:  # less than before: a picture is tried again
            self._begun, self._first = True, now
        self._last = now

    @property
    def seconds(self) -> float | None:
        """Seconds left from now on; None as long as there is no estimate."""
        (began, before), (then, done) = self._first, self._last
        if done <= before or then - began < ENOUGH:
            return None
        left = (self._total - done) * (then - began) / (done - before)
        return max(0.0, left - (self._clock() - then))
