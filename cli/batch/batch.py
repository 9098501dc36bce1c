"""Carries out a plan: paints the photos, and records the result of each.

Knows neither the command line nor the network: a painter turns a photo into pixels, and a reporter
shows the progress.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nstbatch.cli.exit_codes import DONE, FAILED, INTERRUPTED
from nstbatch.cli.jobs.painting import BatchStoppedError, Outcome, Painter, Status, Stop
from nstbatch.cli.jobs.plan import Job
from nstbatch.cli.jobs.reporter import OneByOne, Reporter
from nstbatch.cli.jobs.search import Unreadable
from nstbatch.cli.output.fingerprint import Hashed, Origin
from nstbatch.cli.output.survey import Entry, Photos, Standing
from nstbatch.cli.text import printable
from nstbatch.runtime.errors import NstbatchError, StoppedError, UsageError

from .faults import end_of_batch, reason_of
from .fetched import fetched
from .loss_curve import Curve
from .side_by_side import side_by_side

if TYPE_CHECKING:
    from nstbatch.cli.output.kept import KeptClaim
    from nstbatch.cli.output.ledger_lines import PictureLine
    from nstbatch.cli.output.output_folder import OutputFolder
    from nstbatch.runtime.descent.progress import Progress

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Summary:
    """The result of a batch.

    Attributes:
        counts: Number of photos of each status.
        left: Number of photos that were not tried.
        interrupted: True if a signal stopped the batch.
        seconds: Duration in seconds.
        fault: The fault that stopped the batch, if it was not the fault of one photo.
    """

    counts: Mapping[Status, int]
    left: int
    interrupted: bool
    seconds: float
    fault: str | None = None

    @property
    def exit_code(self) -> int:
        """0: all done or already there, 1: some failed, 130: interrupted."""
        if self.interrupted:
            return INTERRUPTED
        return FAILED if self.counts[Status.FAILED] or self.fault else DONE


@dataclass(frozen=True)
class Batch:
    """The jobs of a batch, the painter, and the output folder.

    Attributes:
        entries: The jobs, and the state of their pictures.
        painter: Paints one photo.
        folder: Stores the pictures.
        origin: Everything that the pictures are made from, except the photos.
        photos: Hashes the photos.
        unreadable: Folders that could not be read.
        begin: Called before the first picture is painted; not called if there is none to paint.
        at_once: Number of photos to paint at a time, each in its own thread.
    """

    entries: Sequence[Entry]
    painter: Painter
    folder: OutputFolder
    origin: Origin
    photos: Photos = field(default_factory=Photos)
    unreadable: Sequence[Unreadable] = ()
    begin: Callable[[], None] = lambda: None
    at_once: int = 1

    @property
    def to_do(self) -> int:
        """Number of pictures to paint."""
        return sum(entry.standing is Standing.TO_DO for entry in self.entries)


def run(
    batch: Batch,
    reporter: Reporter,
    *,
    fail_fast: bool = False,
    stop: Stop = lambda: False,
) -> Summary:
    """Paint every photo that needs it; a bad photo does not stop the others.

    Args:
        batch: The batch.
        reporter: Shows the progress.
        fail_fast: True to stop at the first failure.
        stop: Called before every photo and, by the painter, between steps; True ends the batch.

    Raises:
        UsageError: An option is wrong for every photo.
    """
    start = time.perf_counter()
    counts: Counter[Status] = Counter()
    interrupted, fault = False, None
    told, halt = OneByOne(reporter), threading.Event()
    try:
        with closing(_outcomes(batch, told, halt, stop)) as outcomes:
            for outcome in outcomes:
                counts[outcome.status] += 1
                told.finished(outcome)
                if fail_fast and outcome.status is Status.FAILED:
                    halt.set()
    except KeyboardInterrupt:
        interrupted = True
    except (OSError, NstbatchError) as error:  # a photo's own faults are outcomes by now
        if isinstance(error, UsageError):
            raise
        place = printable(batch.folder.path)
        reason = (isinstance(error, OSError) and error.strerror) or printable(str(error))
        fault = end_of_batch(error) or f"The output folder {place} cannot be used: {reason}."
        log.debug("The traceback:", exc_info=error)
    left = len(batch.unreadable) + len(batch.entries) - counts.total()
    return Summary(counts, left, interrupted or stop(), time.perf_counter() - start, fault)


def _outcomes(
    batch: Batch, reporter: Reporter, halt: threading.Event, stop: Stop
) -> Generator[Outcome]:
    """Yield the outcomes; after a halt, only those of photos that were finished by then."""
    for folder in batch.unreadable:
        yield Outcome(folder.path, None, Status.FAILED, folder.reason)
        if halt.is_set():
            return
    if batch.to_do:
        batch.begin()
    yield from (skipped(entry) for entry in batch.entries if entry.standing is not Standing.TO_DO)

    def attempt(entry: Entry) -> Outcome | None:
        return _attempt(entry, batch, reporter, lambda: halt.is_set() or stop())

    to_do = [entry for entry in batch.entries if entry.standing is Standing.TO_DO]
    yield from side_by_side(attempt, to_do, batch.at_once, halt)


def skipped(entry: Entry) -> Outcome:
    """Return the outcome of a job that needs no painting."""
    return Outcome.of(entry.job, Status.SKIPPED, entry.standing.value)


def _attempt(entry: Entry, batch: Batch, reporter: Reporter, stop: Stop) -> Outcome | None:
    """Paint a photo, unless another process has done so; None if another process is painting it."""
    if stop():
        raise KeyboardInterrupt
    claim = batch.folder.claim(entry.job)
    if claim is None:
        return None
    with claim:
        line = batch.folder.ledger.last(entry.key)
        if line is not None and line is not entry.line:
            return _by_another(entry.job, line, batch)
        reporter.started(entry.job)
        return _paint(claim, entry.job, batch, reporter, stop)


def _by_another(job: Job, line: PictureLine, batch: Batch) -> Outcome:
    """Return the outcome of a photo that another process tried since this batch began."""
    if not line.done:
        reason = f"Another process could not paint it: {line.reason}"
        return Outcome.of(job, Status.FAILED, reason)
    fingerprint, _ = _made_from(job, batch, line)
    if fingerprint == line.fingerprint:
        return Outcome.of(job, Status.SKIPPED, "Another process has painted it.")
    reason = "Another process has since painted it with other settings."
    return Outcome.of(job, Status.FAILED, reason)


def _made_from(
    job: Job, batch: Batch, line: PictureLine | None = None
) -> tuple[str | None, Hashed | None]:
    """Return the fingerprint and the photo's hash; None for both if the photo cannot be read."""
    photo = batch.photos.hashed(job, line)
    if photo is None:
        return None, None
    return batch.photos.fingerprint(job, batch.origin, photo), photo


def _paint(claim: KeptClaim, job: Job, batch: Batch, reporter: Reporter, stop: Stop) -> Outcome:
    start = time.perf_counter()
    made_from: tuple[str | None, Hashed | None] = (None, None)
    try:
        with fetched(job) as here:
            made_from = _made_from(here, batch)
            outcome = _painted(claim, here, batch, reporter, stop, made_from)
    except StoppedError as error:
        raise KeyboardInterrupt from error
    except UsageError:
        raise
    except Exception as error:  # the other photos may be fine
        if fault := end_of_batch(error):
            raise BatchStoppedError(fault) from error
        log.debug("The traceback of %s", printable(job.input), exc_info=error)
        seconds = time.perf_counter() - start
        outcome = Outcome.of(job, Status.FAILED, reason_of(error), seconds=seconds)
        batch.folder.note_failure(job, outcome, made_from)
    return outcome


def _painted(
    claim: KeptClaim,
    job: Job,
    batch: Batch,
    reporter: Reporter,
    stop: Stop,
    made_from: tuple[str | None, Hashed | None],
) -> Outcome:
    """Paint a photo and keep its picture; any error is a fault of this photo or of the batch."""
    start = time.perf_counter()
    curve = Curve()
    snapshots = batch.folder.snapshots(claim, job)

    def progressed(progress: Progress) -> None:
        curve.add(progress.step, progress.losses.get("total", math.nan))
        snapshots(progress)
        reporter.progressed(job, progress)

    painting = batch.painter(replace(job, checkpoint=claim.checkpoint), progressed, stop)
    outcome = Outcome.of(
        job,
        Status.DONE,
        seconds=time.perf_counter() - start if painting.seconds is None else painting.seconds,
        steps=painting.steps,
        losses=painting.losses,
        provider=painting.provider,
        precision=painting.precision,
        details=painting.details,
    )
    batch.folder.keep(claim, job, painting, outcome, made_from, curve.points)
    return outcome
