"""One worker, as the batch sees it."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nstbatch.cli.jobs.painting import BatchStoppedError, Painting, Stop
from nstbatch.cli.jobs.plan import Job
from nstbatch.runtime.errors import NstbatchError, UsageError

from .channel import GRACE, Channel
from .messages import (
    Answer,
    Failed,
    Failure,
    Paint,
    Painted,
    Ready,
    Said,
    Shown,
    Start,
    Stepped,
    StopPainting,
    Terminate,
)

if TYPE_CHECKING:
    from nstbatch.runtime.arrays import Array
    from nstbatch.runtime.descent.progress import ProgressCallback

log = logging.getLogger(__name__)

# Seconds between two looks at whether the batch is to stop. A guess.
PATIENCE = 0.1


class WorkerEndedError(Exception):
    """The worker ended with a photo in hand; the text says how."""


class Worker:
    """A worker that paints, and the photos that it has in hand."""

    def __init__(
        self,
        channel: Channel,
        start: Start,
        say: Callable[[str], None],
        changed: Callable[[Worker], None],
    ) -> None:
        """Send the first message.

        Args:
            channel: The way to the worker.
            start: The first message.
            say: Called in another thread with each line that it writes to standard error.
            changed: Called in another thread when it is ready, and when it has ended.
        """
        self.at_once = 0
        """Number of photos that it paints at a time; 0 until it is ready."""
        self.in_hand = 0
        """Number of photos that it has been given and not finished; the pool counts them."""
        self.finished = 0
        """Number of photos that it has painted, or tried to."""
        self.has_ended = False
        self.has_lost_device = False
        self._channel, self._start, self._say, self._changed = channel, start, say, changed
        self._said: list[str] = []
        self._inboxes: dict[int, queue.SimpleQueue[Any]] = {}
        self._numbers = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._listen, name="worker", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """The worker in messages for people: "process 4711"."""
        return self._channel.name

    @property
    def end(self) -> str:
        """How it ended, as the end of a sentence; waits until it has."""
        return self._channel.end

    @property
    def is_ready(self) -> bool:
        """True if it can paint."""
        return self.at_once > 0 and not self.has_ended

    def paint(self, job: Job, progress: ProgressCallback, stop: Stop, *, shows: bool) -> Painting:
        """Let it paint a photo; see :data:`nstbatch.cli.jobs.painting.Painter`.

        Args:
            job: The job.
            progress: Called after every step.
            stop: Asked now and then whether to stop.
            shows: True if ``progress`` may ask for the picture so far.

        Raises:
            WorkerEndedError: It ended before the photo was finished.
        """
        with self._lock:
            self._numbers += 1
            number = self._numbers
            inbox = self._inboxes[number] = queue.SimpleQueue()
            if self.has_ended:
                inbox.put(None)
        try:
            self._channel.send(Paint(number, job, shows))
            return self._painting(number, inbox, progress, stop)
        except BaseException:
            self._channel.send(StopPainting(number))  # the report of its progress may have failed
            raise
        finally:
            del self._inboxes[number]

    def _painting(
        self, number: int, inbox: queue.SimpleQueue[Any], progress: ProgressCallback, stop: Stop
    ) -> Painting:
        has_stopped = False
        while True:
            if not has_stopped and stop():
                has_stopped = True
                self._channel.send(StopPainting(number))
            try:
                message = inbox.get(timeout=PATIENCE)
            except queue.Empty:
                continue
            if message is None:
                raise WorkerEndedError(self.end)
            if isinstance(message, Painted):
                return message.painting
            if isinstance(message, Failed):
                self._raise(message)
            self._step(message, inbox, progress)

    def _step(
        self, message: Stepped, inbox: queue.SimpleQueue[Any], progress: ProgressCallback
    ) -> None:
        """Report a step, with a function that asks for the picture so far if the process waits."""
        if not message.waits:
            progress(message.progress)
            return

        def picture() -> Array:
            self._channel.send(Answer(message.number, True))
            shown = inbox.get()
            if not isinstance(shown, Shown):
                inbox.put(shown)
                raise WorkerEndedError(self.end)
            return shown.image

        try:
            progress(replace(message.progress, picture=picture))
        finally:
            self._channel.send(Answer(message.number, False))

    def _raise(self, failed: Failed) -> None:
        if failed.traceback:
            log.debug("The traceback of a worker process:\n%s", failed.traceback)
        if failed.failure is Failure.STOPPED:
            raise KeyboardInterrupt
        if failed.failure is Failure.USAGE:
            raise UsageError(failed.reason)
        if failed.failure is Failure.BATCH:
            raise BatchStoppedError(failed.reason)
        if failed.failure is Failure.DEVICE:
            raise WorkerEndedError(failed.reason.rstrip("."))
        raise NstbatchError(failed.reason)

    def terminate(self) -> None:
        """End the calls under way in it."""
        self._channel.send(Terminate())

    def close(self, *, at_once: bool) -> None:
        """End it, and wait until it has ended.

        Args:
            at_once: True to end it in the middle of a photo.
        """
        self._channel.close(at_once=at_once)
        self._thread.join(GRACE)

    def _listen(self) -> None:
        self._channel.send(self._start)  # here, since it waits until a large plan has been read
        for message in self._channel.messages():
            if isinstance(message, Ready):
                # Until now it has said what the batch itself has said.
                self.at_once = message.at_once
                self._changed(self)
            elif isinstance(message, Said):
                if self.at_once:
                    self._say(message.line)
                else:
                    self._said.append(message.line)
            else:
                self._sort(message)
        if not self.at_once:
            for line in self._said:
                self._say(line)
        self.has_ended = True
        self._changed(self)
        with self._lock:
            for inbox in self._inboxes.values():
                inbox.put(None)

    def _sort(self, message: Any) -> None:
        """Put a message to those of its photo."""
        if isinstance(message, Painted | Failed):
            self.finished += 1
            if isinstance(message, Failed) and message.failure is Failure.DEVICE:
                self.has_lost_device = True
        if (inbox := self._inboxes.get(message.number)) is not None:
            inbox.put(message)
