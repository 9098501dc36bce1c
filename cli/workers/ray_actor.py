"""The worker's side of Ray: an actor that paints for a batch.

It runs in a process that Ray starts on some machine of the cluster, and speaks the messages of a
worker process: :mod:`.ray_channel` is the batch's side.
"""

from __future__ import annotations

import importlib
import os
import queue
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nstbatch

from .messages import Said, Stepped
from .process import PROGRAM

# Seconds that reports of steps may wait for one another: a call through Ray takes about a
# millisecond of the batch's process, and many workers report to it.
PERIOD = 0.2

WRONG_USAGE = 2


@dataclass(frozen=True)
class Place:
    """Where the batch runs; its workers must find the same there.

    Attributes:
        folder: The current folder, which relative paths start from.
        environment: The environment variables of this program.
        version: The version of this program.
    """

    folder: Path
    environment: Mapping[str, str]
    version: str


@dataclass(frozen=True)
class Hired:
    """The first message of an actor: its name for people."""

    name: str


@dataclass(frozen=True)
class Ended:
    """The last message of an actor."""

    code: int


PAINTING, REQUESTS = "painting", "requests"
"""The groups of threads that run the two methods of an actor, with one thread each."""


class RayPainter:
    """The actor."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def take(self, message: Any) -> None:
        """Take a message of the batch; None for its end."""
        self._requests.put(message)

    def serve(self) -> Iterator[list[Any]]:
        """Paint until the batch ends, and yield the messages to it."""
        import ray

        address = ray.util.get_node_ip_address()
        yield [Hired(f"Ray worker {os.getpid()} on {address}")]
        threading.Thread(target=self._run, name="service", daemon=True).start()
        while True:
            messages = self._together()
            yield messages
            if isinstance(messages[-1], Ended):
                return

    def _together(self) -> list[Any]:
        """Wait for a message; return it, and those behind it if it may wait for them."""
        messages = [self._answers.get()]
        until = time.monotonic() + PERIOD
        while isinstance(messages[-1], Stepped) and not messages[-1].waits:
            try:
                messages.append(self._answers.get(timeout=max(0.0, until - time.monotonic())))
            except queue.Empty:
                break
        return messages

    def _run(self) -> None:
        code = WRONG_USAGE
        try:
            fault = self._settle()
            if fault:
                self._answers.put(Said(f"nstbatch: {fault}"))
            else:
                requests = iter(self._requests.get, None)
                start = next(requests)
                start = replace(start, processes=_sharing(start.processes))
                # Not imported: the program imports the verbs, and they this room.
                code = importlib.import_module(PROGRAM).serve(start, requests, self._answers.put)
        finally:
            self._answers.put(Ended(code))

    def _settle(self) -> str | None:
        """Go where the batch is; return the reason why not, in a sentence."""
        here = os.uname().nodename
        if nstbatch.__version__ != self._place.version:
            return (
                f"{here} has nstbatch {nstbatch.__version__}, and the batch has "
                f"{self._place.version}: install the same on all machines."
            )
        os.environ.update(self._place.environment)
        try:
            os.chdir(self._place.folder)
        except OSError as error:
            return (
                f"{here} has no folder {self._place.folder} ({error.strerror}): a Ray worker needs "
                "the photos and the output folder under the same names as the batch."
            )
        return None


def _sharing(workers: int) -> int:
    """Return how many of the workers may have to share this machine's memory."""
    import ray

    context = ray.get_runtime_context()
    here = next(each for each in ray.nodes() if each["NodeID"] == context.get_node_id())
    needs = {name: number for name, number in context.get_assigned_resources().items() if number}
    rooms = [int(here["Resources"].get(name, 0) // number) for name, number in needs.items()]
    return max(1, min([workers, *rooms]))
