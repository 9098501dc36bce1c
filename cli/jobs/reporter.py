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
        """A photo is about to be painted."""

    def progressed(self, job: Job, progress: Progress) -> None:
        """Its painter made a step."""

    def finished(self, outcome: Outcome) -> None:
        """That is what became of a photo."""


class OneByOne:
    """Tells a reporter what several threads have to say, one after the other."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._lock = threading.Lock()

    def started(self, job: Job) -> None:
        """A photo is about to be painted."""
        with self._lock:
            self._reporter.started(job)

    def progressed(self, job: Job, progress: Progress) -> None:
        """Its painter made a step."""
        with self._lock:
            self._reporter.progressed(job, progress)

    def finished(self, outcome: Outcome) -> None:
        """That is what became of a photo."""
        with self._lock:
            self._reporter.finished(outcome)


class Tee:
    """Tells two reporters."""

    def __init__(self, first: Reporter, second: Reporter) -> None:
        self._both = (first, second)

    def started(self, job: Job) -> None:
        """A photo is about to be painted."""
        for reporter in self._both:
            reporter.started(job)

    def progressed(self, job: Job, progress: Progress) -> None:
        """Its painter made a step."""
        for reporter in self._both:
            reporter.progressed(job, progress)

    def finished(self, outcome: Outcome) -> None:
        """That is what became of a photo."""
        for reporter in self._both:
            reporter.finished(outcome)
