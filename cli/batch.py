"""Carries out a plan: one photo after the other, and a record of what became of each.

Knows neither the command line nor the network: a painter turns a photo into pixels, a reporter is
told how it goes.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from nstbatch.runtime.errors import NstbatchError, UsageError
from nstbatch.runtime.files import write_atomically

from .picture_writer import PictureWriter
from .plan import Job, Plan
from .text import printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nstbatch.runtime.progress import Progress, ProgressCallback

log = logging.getLogger(__name__)

ALREADY_THERE = "The picture is already there."


class Status(StrEnum):
    """What became of a photo."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    PLANNED = "planned"
    """Only in the report of a dry run."""


@dataclass(frozen=True, eq=False)
class Painting:
    """A finished picture: (H, W, 3) sRGB in [0, 1], its (H, W) alpha, and how it was made."""

    image: NDArray[np.float32]
    alpha: NDArray[np.float32] | None
    losses: Mapping[str, float]
    steps: int
    provider: str
    precision: str
    companions: Mapping[str, bytes] = field(default_factory=dict)
    """Further files that belong to the picture, by what replaces its suffix: ``.json``."""


Stop = Callable[[], bool]

# Writes a picture under its final name, whole or not at all.
Writer = Callable[[Job, Painting], None]

# From a photo to a picture. Raises KeyboardInterrupt when it was stopped, a UsageError for what is
# wrong with the whole batch, and any other exception for what is wrong with this photo.
Painter = Callable[[Job, "ProgressCallback", Stop], Painting]


@dataclass(frozen=True)
class Outcome:
    """What became of one photo, or of a folder that could not be looked into."""

    input: Path
    output: Path | None
    status: Status
    reason: str | None = None
    seconds: float = 0.0
    steps: int = 0
    losses: Mapping[str, float] = field(default_factory=dict)
    provider: str | None = None
    precision: str | None = None

    def record(self) -> dict[str, object]:
        """Return the object that ``--json`` prints; other programs rely on its fields."""
        return {
            "input": os.fspath(self.input),
            "output": None if self.output is None else os.fspath(self.output),
            "status": self.status.value,
            "reason": self.reason,
            "seconds": round(self.seconds, 3),
            "steps": self.steps,
            # JSON has no word for what is not finite.
            "losses": {
                name: loss if math.isfinite(loss) else None for name, loss in self.losses.items()
            },
            "provider": self.provider,
            "precision": self.precision,
        }


@dataclass(frozen=True)
class Summary:
    """What became of a batch."""

    counts: Mapping[Status, int]
    left: int
    interrupted: bool
    seconds: float

    @property
    def exit_code(self) -> int:
        """0: all done or already there, 1: some failed, 130: interrupted."""
        if self.interrupted:
            return 130
        return 1 if self.counts[Status.FAILED] else 0


class Reporter(Protocol):
    """Is told how a batch goes."""

    def started(self, job: Job) -> None:
        """A photo is about to be painted."""

    def progressed(self, progress: Progress) -> None:
        """Its painter made a step."""

    def finished(self, outcome: Outcome) -> None:
        """That is what became of a photo."""


def is_there(job: Job, overwrite: bool) -> bool:
    """Tell whether a job is to be skipped, its picture being there already."""
    return not overwrite and job.output.is_file()


def run(
    plan: Plan,
    painter: Painter,
    reporter: Reporter,
    *,
    writer: Writer | None = None,
    overwrite: bool = False,
    fail_fast: bool = False,
    stop: Stop = lambda: False,
) -> Summary:
    """Paint every photo of a plan; a bad one does not stop the others.

    Args:
        plan: What to paint.
        painter: Paints one photo.
        reporter: Is told how it goes.
        writer: Writes one picture; a :class:`.picture_writer.PictureWriter` by default.
        overwrite: Whether to paint again what is there already.
        fail_fast: Whether to stop at the first failure.
        stop: Is asked before every photo and, by the painter, between steps.

    Raises:
        UsageError: What was asked for is wrong for every photo.
    """
    start = time.perf_counter()
    counts: Counter[Status] = Counter()
    interrupted = False
    try:
        for outcome in _outcomes(
            plan, painter, reporter, writer or PictureWriter(), overwrite, stop
        ):
            counts[outcome.status] += 1
            reporter.finished(outcome)
            if fail_fast and outcome.status is Status.FAILED:
                break
    except KeyboardInterrupt:
        interrupted = True
    left = len(plan.unreadable) + len(plan.jobs) - counts.total()
    return Summary(counts, left, interrupted or stop(), time.perf_counter() - start)


def _outcomes(
    plan: Plan,
    painter: Painter,
    reporter: Reporter,
    writer: Writer,
    overwrite: bool,
    stop: Stop,
) -> Iterator[Outcome]:
    for folder in plan.unreadable:
        yield Outcome(folder.path, None, Status.FAILED, folder.reason)
    for job in plan.jobs:
        if stop():
            raise KeyboardInterrupt
        if is_there(job, overwrite):
            yield Outcome(job.input, job.output, Status.SKIPPED, ALREADY_THERE)
        else:
            reporter.started(job)
            yield _paint(job, painter, reporter, writer, stop)


def _paint(job: Job, painter: Painter, reporter: Reporter, writer: Writer, stop: Stop) -> Outcome:
    start = time.perf_counter()
    try:
        painting = painter(job, reporter.progressed, stop)
        job.output.parent.mkdir(parents=True, exist_ok=True)
        for suffix, data in painting.companions.items():
            write_atomically(job.output.with_suffix(suffix), data)
        # The last one, since a picture that is there says that all is done.
        writer(job, painting)
    except UsageError:
        raise
    except Exception as error:  # whatever it is, the other photos may be fine
        log.debug("The traceback of %s", printable(job.input), exc_info=error)
        seconds = time.perf_counter() - start
        return Outcome(job.input, job.output, Status.FAILED, _reason(error), seconds)
    return Outcome(
        job.input,
        job.output,
        Status.DONE,
        seconds=time.perf_counter() - start,
        steps=painting.steps,
        losses=painting.losses,
        provider=painting.provider,
        precision=painting.precision,
    )


def _reason(error: Exception) -> str:
    if isinstance(error, NstbatchError):
        return str(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory for it; a smaller --size needs less."
    if isinstance(error, OSError):
        return f"{error.strerror or error}: {error.filename}."
    return f"{type(error).__name__}: {error}"
