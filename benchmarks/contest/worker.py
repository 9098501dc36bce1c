"""A contestant in a process of its own, which does something when it is told to.

Processes keep contestants apart: each has its own peak of memory, its own threads, asleep while it
is not its turn, and its own crash. The clock is in there as well, so the way to it costs nothing.
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
from typing import TYPE_CHECKING, Any

from nstbatch.benchmarks.options import Entry
from nstbatch.benchmarks.tasks.matrix_rate import fastest
from nstbatch.benchmarks.tasks.memory import peak_resident
from nstbatch.benchmarks.tasks.tasks import Task
from nstbatch.benchmarks.tasks.turns import AbsentError, ContestantError, Turn, take_turn
from nstbatch.runtime.arrays import Array
from nstbatch.runtime.devices.gpu_memory import gpu_memory
from nstbatch.runtime.errors import NstbatchError, ProviderError

if TYPE_CHECKING:
    from .contestants import Contestant

# Seconds in which a process that has nothing more to do should be gone.
PATIENCE = 10.0


@dataclass(frozen=True)
class Job:
    """What a worker is for."""

    entry: Entry
    task: Task
    threads: int
    warm_up: int
    """Steps before the first turn."""
    steps: int
    """Steps of a turn that count."""
    peer_device: str = "cpu"
    """Where PyTorch runs: "cpu" or "cuda"."""


@dataclass(frozen=True, eq=False)
class Opened:
    """What is known of a contestant once it is warm."""

    precision: str
    """Of its convolutions."""
    device: str
    """Where it runs: "cpu" or "cuda"."""
    start_seconds: float
    """From a fresh process to the end of the first step: imports, linking, compiling, opening."""
    peak_bytes: int | None
    """Of the process; of the GPU for what runs there."""
    images: Array
    """(N, 3, H, W) after the warm-up."""


class Worker:
    """The process, seen from outside; use it as a context, which ends it."""

    def __init__(self, target: Callable[[Connection, Any], None], job: Any) -> None:
        """Start the process.

        Args:
            target: What runs in there, a function of a module: see :func:`serve`.
            job: What it is handed beside its end of the pipe.
        """
        # "spawn": a fork would begin with the memory and the threads of this process.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=target, args=(theirs, job))
        self._process.start()
        theirs.close()  # else nobody would notice that the process is gone

    def answer(self) -> Any:
        """Wait for what the process has to say; a ContestantError if that is a failure."""
        try:
            answer = self._pipe.recv()
        except (EOFError, ConnectionResetError) as error:
            raise ContestantError(self._last_words()) from error
        if isinstance(answer, ContestantError):
            raise answer
        return answer

    def turn(self) -> Turn:
        """Let the contestant have its turn; a ContestantError where it fails."""
        try:
            self._pipe.send(True)
        except OSError as error:
            raise ContestantError(self._last_words()) from error
        turn: Turn = self.answer()
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
        """Nothing more to do."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the process, at once if there is no time for more."""
        if kind is not None:
            self._process.kill()
        self.close()


# --- Inside the process -----------------------------------------------------------------------


def serve(pipe: Connection, job: Job) -> None:
    """Say what a contestant is like once it is warm, then let it have a turn for each message."""
    with reporting_failures(pipe, job.threads):
        contestant, opened = open_warm(lambda: open_contestant(job), job.warm_up)
        products = fastest(contestant.products())  # before the answer: nobody else runs until then
        pipe.send(opened)
        while pipe.recv():
            pipe.send(take_turn(contestant.step, products, job.steps))


@contextmanager
def reporting_failures(pipe: Connection, threads: int) -> Iterator[None]:
    """Make this a quiet process of so many threads, which says through the pipe what went wrong."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this process will end it
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read when PyTorch is imported
    try:
        yield
    except EOFError:  # there are no more messages
        pass
    except Exception as error:  # anything may go wrong in there, and must not stop the others
        pipe.send(as_contestant_error(error))


def open_warm(open_it: Callable[[], Contestant], warm_up: int) -> tuple[Contestant, Opened]:
    """Open a contestant, let it take the steps of the warm-up, and say what it is like."""
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
    """The contestant of a job.

    Raises:
        AbsentError: It needs PyTorch, which does not load.
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
    """Whatever went wrong, as one line and a traceback that can travel to another process."""
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
