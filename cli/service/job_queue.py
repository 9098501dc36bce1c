"""The jobs of the service: a folder for each, and a queue of bounded length.

A job counts from the moment its folder gets its name, which is when its files are complete and on
disk. The file ``job.json`` in it says what was asked and, at the end, how it ended. A service that
was killed and is started again reads these files, and goes on.
"""

from __future__ import annotations

import logging
import math
import secrets
import shutil
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import fmean

import filelock

from nstbatch.cli.jobs.plan import make_writable
from nstbatch.cli.text import printable
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.files import write_atomically

from .job import End, Job, Order, State
from .limits import Limits, RefusedError

log = logging.getLogger(__name__)

FILE, REMOVED, INCOMING, LOCK = "job.json", "removed", ".incoming", ".service.lock"

# Jobs whose duration says how long the next one takes.
_RECENT = 20


class JobQueue:
    """The jobs in a folder. Several threads may use it."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        """Read no job yet.

        Args:
            folder: The folder; it need not exist.
            limits: The limits of the service.
        """
        self.folder = folder
        self._limits = limits
        self._jobs: dict[str, Job] = {}  # in the order of their uploads
        self._waiting: deque[Job] = deque()
        self._arriving = 0
        self._seconds: deque[float] = deque(maxlen=_RECENT)
        self._changed = threading.Condition()
        self._closed = False
        self._lock = filelock.FileLock(folder / LOCK)

    def __enter__(self) -> JobQueue:
        """Read the jobs that an earlier service has left, and remove uploads that were cut off.

        Raises:
            UsageError: The folder cannot be used, or another service uses it.
        """
        make_writable(self.folder)
        try:
            self._lock.acquire(blocking=False)
        except filelock.Timeout as error:
            name = printable(self.folder)
            raise UsageError(
                f"Another service uses the folder {name}; choose another --out."
            ) from error
        shutil.rmtree(self.folder / INCOMING, ignore_errors=True)
        (self.folder / INCOMING).mkdir()
        for job in sorted(self._found(), key=lambda each: each.order.created):
            if (
                job.folder / REMOVED
            ).exists():  # while it was running, by a service that was killed
                self._discard(job)
                continue
            self._jobs[job.order.id] = job
            if not job.state.is_end:
                self._waiting.append(job)
        return self

    def __exit__(self, *error: object) -> None:
        """Let another service use the folder."""
        shutil.rmtree(self.folder / INCOMING, ignore_errors=True)
        self._lock.release()

    def _found(self) -> Iterator[Job]:
        for folder in self.folder.iterdir():
            try:
                yield Job.parse((folder / FILE).read_bytes(), folder)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except (OSError, ValueError) as error:
                log.warning("The job in %s cannot be read: %s", printable(folder), error)

    # --- Uploads ------------------------------------------------------------------------------

    def reserve(self) -> Path:
        """Keep a place for an upload, and return the folder for its files; it does not exist yet.

        Raises:
            RefusedError: The queue is full.
        """
        with self._changed:
            if len(self._waiting) + self._arriving >= self._limits.waiting:
                wait = {"Retry-After": str(self._seconds_until_place)}
                raise RefusedError(429, "Too many jobs are waiting. Try again later.", wait)
            self._arriving += 1
        return self.folder / INCOMING / secrets.token_hex(12)

    @property
    def _seconds_until_place(self) -> int:
        """Seconds until a job of the usual duration has ended, at least 1."""
        return max(1, math.ceil(fmean(self._seconds))) if self._seconds else 1

    def accept(self, order: Order, folder: Path) -> Job:
        """Make a job of an upload's folder, and let it wait; an OSError if the disk is full."""
        job = Job(order, self.folder / order.id)
        write_atomically(folder / FILE, job.record(None))
        folder.rename(job.folder)
        with self._changed:
            self._jobs[order.id] = job
            self._waiting.append(job)
            self._changed.notify()
        return job

    def release(self, folder: Path) -> None:
        """Give the place of an upload back, and remove its folder unless it became a job."""
        with self._changed:
            self._arriving -= 1
        shutil.rmtree(folder, ignore_errors=True)

    # --- Painting -----------------------------------------------------------------------------

    def next(self) -> Job | None:
        """Wait for a job, and mark it as running; None when the queue is closed."""
        with self._changed:
            while not (self._waiting or self._closed):
                self._changed.wait()
            if self._closed:
                return None
            job = self._waiting.popleft()
            job.is_running = True
            return job

    def finish(self, job: Job, end: End) -> None:
        """Note the end of a job, and remove the oldest finished ones if there are too many."""
        if not job.removed.is_set():
            try:
                write_atomically(job.folder / FILE, job.record(end))
            except OSError as error:  # the next service will look at the job again
                log.error("The end of a job cannot be written: %s", error.strerror)
        with self._changed:
            job.end, job.is_running, job.progress = end, False, None
            if end.state is State.DONE:
                self._seconds.append(end.seconds)
            finished = [each for each in self._jobs.values() if each.end is not None]
            old = finished[: max(0, len(finished) - self._limits.kept)]
            for each in old:
                del self._jobs[each.order.id]
                each.removed.set()
            gone = [*old, job] if job.removed.is_set() else old
        for each in gone:
            self._discard(each)

    def put_back(self, job: Job) -> None:
        """Let a job that was stopped wait for the next service; or remove it, if so wished."""
        with self._changed:
            job.is_running, job.progress = False, None
            gone = job.removed.is_set()
            if not gone:
                self._waiting.appendleft(job)
        if gone:
            self._discard(job)

    def close(self) -> None:
        """Hand out no job any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    # --- Clients ------------------------------------------------------------------------------

    def get(self, name: str) -> Job:
        """Return a job; a RefusedError if there is none of this name."""
        with self._changed:
            job = self._jobs.get(name)
        if job is None:
            raise RefusedError(404, "There is no such job.")
        return job

    def views(self, jobs: list[Job]) -> list[dict[str, object]]:
        """Return what clients see of jobs."""
        with self._changed:
            ahead = {job.order.id: index for index, job in enumerate(self._waiting)}
            return [job.view(ahead.get(job.order.id)) for job in jobs]

    def latest(self, most: int, state: State | None) -> list[Job]:
        """Return the latest jobs, the newest first.

        Args:
            most: Largest number of jobs.
            state: Their state; None for any.
        """
        with self._changed:
            found = [job for job in self._jobs.values() if state in (None, job.state)]
        return found[::-1][:most]

    def counts(self) -> dict[str, int]:
        """Return the number of jobs of each state."""
        with self._changed:
            states = [job.state for job in self._jobs.values()]
        return {state.value: states.count(state) for state in State}

    def remove(self, job: Job) -> None:
        """Remove a job and its files; one that is running stops before its next step."""
        with self._changed:
            if self._jobs.pop(job.order.id, None) is None:
                return
            job.removed.set()
            if job in self._waiting:
                self._waiting.remove(job)
            is_running = job.is_running
        if is_running:
            (job.folder / REMOVED).touch()  # its painter removes the files
        else:
            self._discard(job)

    def _discard(self, job: Job) -> None:
        """Remove the files of a job; what is left of them after a kill is no job."""
        rest = self.folder / INCOMING / job.order.id
        with suppress(OSError):
            job.folder.rename(rest)
        shutil.rmtree(rest, ignore_errors=True)
