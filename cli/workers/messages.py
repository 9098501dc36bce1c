"""The messages between a batch and its workers: in pipes, pickles one after the other."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import IO, TYPE_CHECKING, Any

from nstbatch.cli.jobs.painting import Painting
from nstbatch.cli.jobs.plan import Job, Plan

if TYPE_CHECKING:
    from nstbatch.cli.output.picture_writer import PictureWriter
    from nstbatch.runtime.arrays import Array
    from nstbatch.runtime.descent.progress import Progress

# --- From the batch ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Start:
    """The first message: the words to run, the plan of the batch, and the worker's share."""

    words: tuple[str, ...]
    plan: Plan
    """The plan of the batch, or a part: :meth:`nstbatch.cli.jobs.effort.Effort.sample`."""
    cores: frozenset[int]
    """Numbers of the cores that the worker may use; empty for all."""
    processes: int
    """Number of workers that share the memory of its machine."""
    writer: PictureWriter
    """Makes the files of the pictures."""


@dataclass(frozen=True)
class Paint:
    """Paint a photo; ``shows`` if the batch wants to see the picture so far now and then."""

    number: int
    """Number of this request, which all messages about it have."""
    job: Job
    shows: bool


@dataclass(frozen=True)
class Answer:
    """Answer to a :class:`Stepped` that waits: send the picture so far, or go on."""

    number: int
    show: bool


@dataclass(frozen=True)
class StopPainting:
    """Stop after the current step."""

    number: int


@dataclass(frozen=True)
class Terminate:
    """End the calls under way, and all later ones."""


# --- From a worker ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Ready:
    """It can paint so many photos at a time."""

    at_once: int


@dataclass(frozen=True)
class Said:
    """A line for standard error."""

    line: str


@dataclass(frozen=True)
class Stepped:
    """A step is done; if it ``waits``, it does so for an :class:`Answer`."""

    number: int
    progress: Progress
    waits: bool


@dataclass(frozen=True, eq=False)
class Shown:
    """The picture so far, (H, W, 3); then it waits again."""

    number: int
    image: Array


@dataclass(frozen=True, eq=False)
class Painted:
    """A photo is finished."""

    number: int
    painting: Painting


class Failure(Enum):
    """A reason why there is no picture."""

    PHOTO = "a fault of this photo"
    BATCH = "a fault of the whole batch"
    USAGE = "an option is wrong for every photo"
    STOPPED = "it was asked to stop"
    DEVICE = "the device is gone; the process ends"


@dataclass(frozen=True)
class Failed:
    """A photo was not finished; why, in words."""

    number: int
    failure: Failure
    reason: str = ""
    traceback: str = ""


class Sender:
    """Sends messages from several threads, each as a whole."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def __call__(self, message: Any) -> None:
        """Send a message; an OSError or a ValueError if the other process is gone."""
        data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        with self._lock:
            self._pipe.write(data)
            self._pipe.flush()

    def close(self) -> None:
        """End the stream."""
        with self._lock:
            self._pipe.close()


def received(pipe: IO[bytes]) -> Iterator[Any]:
    """Yield the messages of the other process until it ends."""
    while True:
        try:
            yield pickle.load(pipe)
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            return  # it has ended, in the middle of a message if it was killed
