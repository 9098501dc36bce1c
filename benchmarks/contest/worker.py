"""Runs a contestant in its own process, on command.

Separate processes keep contestants apart: each has its own peak memory and its own threads, which
sleep between turns, and a crash affects only one. The clock runs in the process too, so messages
are not timed.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from nstbatch.benchmarks.options import Entry
from nstbatch.benchmarks.tasks.matrix_rate import fastest
from nstbatch.benchmarks.tasks.memory import peak_resident
from nstbatch.benchmarks.tasks.tasks import Task
from nstbatch.benchmarks.tasks.turns import (
    AbsentError,
    ContestantError,
    OutOfTimeError,
    Turn,
    take_turn,
)
from nstbatch.runtime.arrays import Array
from nstbatch.runtime.devices.gpu_memory import gpu_memory
from nstbatch.runtime.errors import NstbatchError, ProviderError

if TYPE_CHECKING:
    from .contestants import Contestant

AnyContestant = TypeVar("AnyContestant", bound="Contestant")

# Seconds that a process may take to end, before it is killed. A guess.
PATIENCE = 10.0


@dataclass(frozen=True)
class Job:
    """The work of a worker process."""

    entry: Entry
    task: Task
    threads: int
    warm_up: int
    """Steps before the first turn."""
    steps: int
    """Timed steps in a turn."""
    peer_device: str = "cpu"
    """Device of PyTorch: "cpu" or "cuda"."""


@dataclass(frozen=True, eq=False)
class Opened:
    """State of a contestant after its warm-up."""

    precision: str
    """Precision of its convolutions."""
    device: str
    """Device on which it runs: "cpu" or "cuda"."""
    start_seconds: float
    """Seconds from opening the contestant to the end of its first step, with imports, linking and
    compiling."""
    peak_bytes: int | None
    """Peak memory of the process; on a GPU, the GPU memory taken."""
    images: Array
    """Images (N, 3, H, W) after the warm-up."""


class Worker:
    """A worker process, seen from outside; a context that ends the process."""

    def __init__(self, target: Callable[[Connection, Any], None], job: Any) -> None:
        """Start the process.

        Args:
            target: Code of the process, a function of a module, such as :func:`serve`.
            job: Passed to it with its end of the pipe.
        """
        # "spawn": a fork would start with the memory and threads of this process.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=target, args=(theirs, job))
        self._process.start()
        theirs.close()  # without this, a dead process would not be noticed

    def answer(self, patience: float | None = None) -> Any:
        """Wait for an answer of the process.

        Args:
            patience: Seconds to wait; None for any number.

        Raises:
            ContestantError: It failed.
            OutOfTimeError: It did not answer in time.
        """
        if not self._pipe.poll(patience):
            raise OutOfTimeError
        try:
            answer = self._pipe.recv()
        except (EOFError, ConnectionResetError) as error:
            raise ContestantError(self._last_words()) from error
        if isinstance(answer, ContestantError):
            raise answer
        return answer

    def turn(self, patience: float | None = None) -> Turn:
        """Let the contestant take a turn, and wait for it as :meth:`answer` does."""
        try:
            self._pipe.send(True)
        except OSError as error:
            raise ContestantError(self._last_words()) from error
        turn: Turn = self.answer(patience)
        return turn

    def _last_words(self) -> str:
        self._process.join(PATIENCE)
        code = self._process.exitcode
        if code == -9:  # SIGKILL, which the kernel sends when memory runs out
            return "its process was killed; perhaps there was not enough memory"
        return f"its process ended with exit code {code}"

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(PATIENCE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def __enter__(self) -> Worker:
        """Return the worker itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the process; kill it at once if there was an exception."""
        if kind is not None:
            self._process.kill()
        self.close()


# --- Inside the process -----------------------------------------------------------------------


def serve(pipe: Connection, job: Job) -> None:
    """Warm up a contestant and send its state, then let it take a turn for each message."""
    with reporting_failures(pipe, job.threads):
        contestant, opened = open_warm(lambda: open_contestant(job), job.warm_up)
        products = fastest(contestant.products())  # before the answer: no one else runs until then
        pipe.send(opened)
        while pipe.recv():
            pipe.send(take_turn(contestant.step, products, job.steps))


@contextmanager
def reporting_failures(pipe: Connection, threads: int) -> Iterator[None]:
    """Set the number of threads, ignore Ctrl-C, and send any error through the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process ends this one
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read when PyTorch is imported
    try:
        yield
    except EOFError:  # there are no more messages
        pass
    except Exception as error:  # no error may stop the other contestants
        pipe.send(as_contestant_error(error))


def open_warm(open_it: Callable[[], AnyContestant], warm_up: int) -> tuple[AnyContestant, Opened]:
    """Open a contestant, take the steps of the warm-up, and return it with its state."""
    taken_before, start = gpu_memory("used"), time.perf_counter()
    contestant = open_it()
    contestant.step()
    start_seconds = time.perf_counter() - start
    for _ in range(warm_up - 1):
        contestant.step()
    peak = peak_resident()
    if contestant.device == "cuda":
        taken = gpu_memory("used")
        peak = None if taken is None or taken_before is None else taken - taken_before
    return contestant, Opened(
        contestant.precision, contestant.device, start_seconds, peak, contestant.images
    )


def open_contestant(job: Job) -> Contestant:
    """Open the contestant of a job.

    Raises:
        AbsentError: The contestant needs PyTorch, which does not load.
    """
    if not job.entry.is_peer:
        from .contestants import OnnxContestant

        return OnnxContestant(job.task, job.entry, job.threads)
    try:
        from nstbatch.benchmarks.peers.peers import Peer
    except ImportError as error:
        raise AbsentError(f"PyTorch does not load ({error})") from error
    return Peer(job.task, job.entry.name, job.threads, job.peer_device)


def as_contestant_error(error: Exception) -> ContestantError:
    """Any error as one line and a traceback, which can be sent to another process."""
    if isinstance(error, ContestantError):
        return error
    details = "".join(traceback.format_exception(error))
    if isinstance(error, MemoryError):
        return ContestantError("there is not enough memory for it", details)
    text = (str(error).strip().splitlines() or [""])[0]
    if isinstance(error, ProviderError):
        return AbsentError(text, details)
    known = isinstance(error, NstbatchError)
    return ContestantError(text if known else f"{type(error).__name__}: {text}", details)
