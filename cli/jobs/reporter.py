"""Reporters: they are told how a batch goes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from nstbatch.runtime.descent.progress import Progress

    from .painting import Outcome
    from .plan import Job


class Reporter(Protocol):
    """Is told how a batch goes."""

    def started(self, job: Job) -> None:
        """Called before a job begins."""

    def progressed(self, job: Job, progress: Progress) -> None:
        """Called after every step of a job."""

    def finished(self, outcome: Outcome) -> None:
        """Called with the outcome of a job."""


class OneByOne:
    """Tells a reporter what several threads have to say, one after the other."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._lock = threading.Lock()

    def started(self, job: Job) -> None:
        """Called before a job begins."""
        with self._lock:
            self._reporter.started(job)

    def progressed(self, job: Job, progress: Progress) -> None:
        """Called after every step of a job."""
        with self._lock:
            self._reporter.progressed(job, progress)

    def finished(self, outcome: Outcome) -> None:
        """Called with the outcome of a job."""
        with self._lock:
            self._reporter.finished(outcome)


class Tee:
    """Tells two reporters."""

    def __init__(self, first: Reporter, second: Reporter) -> None:
        self._both = (first, second)

    def started(self, job: Job) -> None:
        """Called before a job begins."""
        for reporter in self._both:
            reporter.started(job)

    def progressed(self, job: Job, progress: Progress) -> None:
        """Called after every step of a job."""
        for reporter in self._both:
            reporter.progressed(job, progress)

    def finished(self, outcome: Outcome) -> None:
        """Called with the outcome of a job."""
        for reporter in self._both:
            reporter.finished(outcome)
