"""The service of a worker: it paints what the batch asks for."""

from __future__ import annotations

import io
import logging
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nstbatch.cli.batch.faults import end_of_batch, is_device_gone, reason_of
from nstbatch.cli.jobs.painting import Painter, Painting
from nstbatch.cli.jobs.plan import Job
from nstbatch.runtime.errors import StoppedError, UsageError

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
    from nstbatch.runtime.descent.progress import Progress

log = logging.getLogger(__name__)


class Service:
    """Paints for the process that this one was started by."""

    def __init__(self, start: Start, requests: Iterable[Any], send: Callable[[Any], None]) -> None:
        """Serve nothing yet.

        Args:
            start: The first message of the batch.
            requests: Its further messages, until it ends.
            send: Sends to the batch; an OSError or a ValueError if it has ended.
        """
        self.plan = start.plan
        self.processes = start.processes
        self._writer = start.writer
        self._requests = requests
        self._send = send
        self._under_way: dict[int, _Request] = {}

    def serve(self, painter: Painter, terminate: Callable[[], None], at_once: int) -> None:
        """Paint until the batch ends.

        If the batch ends while a photo is under way, so does the process, in the middle of a call
        if need be. This loses no more than a kill would.

        Args:
            painter: Paints one photo.
            terminate: Ends the calls under way; may be called from any thread.
            at_once: Number of photos that the painter may work on at a time.
        """
        self._tell(Ready(at_once))
        for message in self._requests:
            if isinstance(message, Terminate):
                terminate()
            elif isinstance(message, Paint):
                request = self._under_way[message.number] = _Request(message)
                threading.Thread(
                    target=self._paint, args=(painter, request), name="photo", daemon=True
                ).start()
            elif (asked := self._under_way.get(message.number)) is not None:
                asked.take(message)
        if self._under_way:
            os._exit(1)

    def _paint(self, painter: Painter, request: _Request) -> None:
        began = time.perf_counter()
        number = request.number
        outcome: Painted | Failed
        try:
            painting = painter(request.job, self._progress_of(request), request.is_stopped)
            if painting.seconds is None:
                painting = replace(painting, seconds=time.perf_counter() - began)
            outcome = Painted(number, _plain(self._encoded(request.job, painting)))
        except (KeyboardInterrupt, StoppedError):
            outcome = Failed(number, Failure.STOPPED)
        except UsageError as error:
            outcome = Failed(number, Failure.USAGE, str(error))
        except Exception as error:  # the other photos may be fine
            outcome = _failed(number, error)
        self._tell(outcome)
        if isinstance(outcome, Failed) and outcome.failure is Failure.DEVICE:
            os._exit(1)  # no later call can succeed
        del self._under_way[number]

    def _encoded(self, job: Job, painting: Painting) -> Painting:
        """Return a painting with its file: much smaller than the image, and work for this process.

        Raises:
            ImageError: The format cannot hold it.
        """
        file = self._writer.encode(job, painting)
        return replace(
            painting,
            image=painting.image[..., :0],
            alpha=None,
            encoded=file.data,
            modified_ns=file.modified_ns,
        )

    def _progress_of(self, request: _Request) -> Callable[[Progress], None]:
        def progressed(progress: Progress) -> None:
            waits = request.shows and progress.picture is not None
            self._tell(Stepped(request.number, replace(progress, picture=None), waits))
            while waits and request.wants_to_see():
                assert progress.picture is not None
                self._tell(Shown(request.number, progress.picture()))

        return progressed

    def _tell(self, message: object) -> None:
        try:
            self._send(message)
        except (OSError, ValueError):  # the batch has ended
            os._exit(1)


class _Request:
    """A photo under way."""

    def __init__(self, message: Paint) -> None:
        self.number, self.job, self.shows = message.number, message.job, message.shows
        self._answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._stopped = False

    def take(self, message: Answer | StopPainting) -> None:
        """Take a message of the batch about this photo."""
        if isinstance(message, Answer):
            self._answers.put(message.show)
        else:
            self._stopped = True

    def is_stopped(self) -> bool:
        """True if the batch wants no more steps."""
        return self._stopped

    def wants_to_see(self) -> bool:
        """Wait for the answer to a step."""
        return self._answers.get()


def _plain(painting: Painting) -> Painting:
    """Return a painting whose mappings can be pickled."""
    return replace(
        painting,
        losses=dict(painting.losses),
        companions=dict(painting.companions),
        details=dict(painting.details),
        settings=dict(painting.settings),
    )


def _failed(number: int, error: Exception) -> Failed:
    text = "".join(traceback.format_exception(error))
    if is_device_gone(error):
        return Failed(number, Failure.DEVICE, end_of_batch(error) or "", text)
    if fault := end_of_batch(error):
        return Failed(number, Failure.BATCH, fault, text)
    return Failed(number, Failure.PHOTO, reason_of(error), text)


class Relay(io.TextIOBase):
    """Sends the lines of this process's standard error to the batch, which prints them."""

    def __init__(self, send: Callable[[Any], None]) -> None:
        self._send = send
        self._line = ""
        self._lock = threading.Lock()

    def write(self, text: str) -> int:
        """Send all complete lines."""
        with self._lock:
            *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            try:
                self._send(Said(line))
            except (OSError, ValueError):  # the batch has ended, and so will this process
                sys.exit(1)
        return len(text)

    def isatty(self) -> bool:
        """Return False: nothing here is a terminal."""
        return False
