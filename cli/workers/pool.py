"""A pool of workers, which paint the photos of one batch."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING

from nstbatch.cli.jobs.painting import BatchStoppedError, Painting, Stop
from nstbatch.cli.jobs.plan import Job
from nstbatch.cli.text import printable
from nstbatch.runtime.errors import NstbatchError

from .channel import Opener
from .messages import Start
from .worker import PATIENCE, Worker, WorkerEndedError

if TYPE_CHECKING:
    from nstbatch.runtime.descent.progress import ProgressCallback

log = logging.getLogger(__name__)

TRIES = 3
"""Times that a photo is tried if the worker that paints it ends."""


class Pool:
    """Workers; all of them end with this ``with`` block.

    A worker that ends is replaced, unless it never was given a photo or has lost its device.
    """

    def __init__(self, starts: Sequence[Start], opener: Opener, *, shows: bool = False) -> None:
        """Start no worker yet.

        Args:
            starts: The first message to each worker.
            opener: Starts a worker.
            shows: True if reports of progress need the pictures so far.
        """
        self._starts = starts
        self._open = opener
        self._shows = shows
        self._workers: list[Worker] = []
        self._changed = threading.Condition()
        self._heard: dict[str, int] = {}
        self._is_ending = False
        self._last_end = ""

    def __enter__(self) -> Pool:
        """Return the pool."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End all workers."""
        with self._changed:
            at_once = self._is_ending or error is not None
            self._is_ending = True
            workers = list(self._workers)
        for worker in workers:
            worker.close(at_once=at_once or worker.in_hand > 0)

    def start(self) -> None:
        """Start all workers; they load their networks while others already paint."""
        for place in range(len(self._starts)):
            with self._changed:
                self._workers.append(self._started(place))

    def paint(self, job: Job, progress: ProgressCallback, stop: Stop) -> Painting:
        """Let one of the workers paint a photo: a painter.

        Raises:
            BatchStoppedError: No worker is left.
        """
        for tries_left in reversed(range(TRIES)):
            worker = self._take(stop)
            log.debug("%s: painted by %s", printable(job.input), worker.name)
            try:
                return worker.paint(job, progress, stop, shows=self._shows)
            except WorkerEndedError as error:
                if stop():
                    raise KeyboardInterrupt from error
                if not tries_left:
                    raise NstbatchError(
                        f"The worker that painted it ended {TRIES} times; the last time: {error}."
                    ) from error
                log.warning(
                    "a worker ended (%s), so another one paints again: %s",
                    error,
                    printable(job.input),
                )
            finally:
                self._give_back(worker)
        raise AssertionError("the last try returns or raises")

    def terminate(self) -> None:
        """End the calls under way in all workers; may be called from any thread."""
        self._is_ending = True
        for worker in list(self._workers):
            worker.terminate()

    def _take(self, stop: Stop) -> Worker:
        """Wait for a worker with a place for a photo, and return the one with the fewest."""
        with self._changed:
            while True:
                if stop():
                    raise KeyboardInterrupt
                free = [
                    (worker.in_hand, place)
                    for place, worker in enumerate(self._workers)
                    if worker.is_ready and worker.in_hand < worker.at_once
                ]
                if free:
                    _, place = min(free)
                    self._workers[place].in_hand += 1
                    return self._workers[place]
                if all(worker.has_ended for worker in self._workers):
                    raise BatchStoppedError(
                        f"No worker is left; the last one ended with {self._last_end}."
                    )
                self._changed.wait(PATIENCE)

    def _give_back(self, worker: Worker) -> None:
        with self._changed:
            worker.in_hand -= 1
            self._changed.notify_all()

    def _started(self, place: int) -> Worker:
        say = partial(self._say, place)
        return Worker(self._open(), self._starts[place], say, self._notice)

    def _notice(self, worker: Worker) -> None:
        """Notice that a worker is ready, or has ended; replace it if that may help."""
        with self._changed:
            if worker.has_ended:
                self._last_end = worker.end
                was_of_use = worker.in_hand > 0 or worker.finished > 0
                if was_of_use and not (worker.has_lost_device or self._is_ending):
                    place = self._workers.index(worker)
                    self._workers[place] = self._started(place)
            self._changed.notify_all()

    def _say(self, place: int, line: str) -> None:
        """Print a line of a worker, unless another one has said the same."""
        if self._heard.setdefault(line, place) == place:
            print(line, file=sys.stderr, flush=True)
