"""The batch's side of Ray: the cluster, and the channels of its workers."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import nstbatch
from nstbatch.cli.jobs.engines import LOCAL
from nstbatch.cli.text import printable
from nstbatch.runtime.errors import UsageError

from .channel import GRACE
from .ray_actor import PAINTING, REQUESTS, Ended, Hired, Place, RayPainter

log = logging.getLogger(__name__)

ENVIRONMENT = {
    # Ray sends statistics of its use to its makers unless it is told not to.
    "RAY_USAGE_STATS_ENABLED": "0",
    # It prints the end of workers on standard output, where the results go.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    # Under `uv run`, it sends all files of the current folder to the cluster.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # Its workers would give way to all other programs.
    "RAY_worker_niceness": "0",
    # It prints warnings of its own on standard error.
    "RAY_BACKEND_LOG_LEVEL": "error",
    # It prints the errors of calls whose result nobody asks for.
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
}
"""Environment variables for Ray, to be set before it is imported."""

# The name of a socket may have 107 bytes (Linux), and Ray adds about 70 to that of its folder.
LONGEST_FOLDER = 36

# Seconds that a cluster may take to answer. A guess.
ANSWERS_WITHIN = 10.0


class RayWorker:
    """The channel of an actor."""

    def __init__(self, actor: Any) -> None:
        """Let an actor serve.

        Args:
            actor: The actor, which Ray may not have started yet.
        """
        self.name = "a Ray worker"
        """See :class:`.channel.Channel`; known once the actor has been started."""
        self._actor = actor
        serve = actor.serve.options(num_returns="streaming", concurrency_group=PAINTING)
        self._answers = serve.remote()
        self._end = "Ray lost it"
        self._has_ended = threading.Event()

    def send(self, message: Any) -> None:
        """See :class:`.channel.Channel`."""
        import ray

        try:
            self._actor.take.options(concurrency_group=REQUESTS).remote(message)
        except (ray.exceptions.RayError, RuntimeError):  # it has ended, or Ray has
            log.debug("A message was not sent to %s", self.name)

    def messages(self) -> Iterator[Any]:
        """See :class:`.channel.Channel`."""
        import ray

        try:
            for reference in self._answers:
                for message in ray.get(reference):
                    if isinstance(message, Hired):
                        self.name = message.name
                    elif isinstance(message, Ended):
                        self._end = f"exit code {message.code}"
                    else:
                        yield message
        except ray.exceptions.RayError as error:
            self._end = f"{self.name} died"
            log.debug("%s: %s", self._end, printable(str(error)))
        finally:
            self._has_ended.set()

    @property
    def end(self) -> str:
        """See :class:`.channel.Channel`."""
        self._has_ended.wait(GRACE)
        return self._end

    def close(self, *, at_once: bool) -> None:
        """See :class:`.channel.Channel`."""
        import ray

        if not at_once:
            self.send(None)
            self._has_ended.wait(GRACE)
        ray.kill(self._actor)
        self._has_ended.wait(GRACE)


class RayCluster:
    """Starts workers on Ray; it connects for the first one, and disconnects after the block."""

    def __init__(
        self,
        address: str,
        workers: int,
        resources: Mapping[str, float],
        environment: Mapping[str, str],
    ) -> None:
        """Connect to nothing yet.

        Args:
            address: The address of a Ray cluster, "auto" for the one that this machine is part
                of, or "local" for a Ray that is started for this batch and ends with it.
            workers: Number of workers.
            resources: What each worker needs: its "CPU" and its "GPU".
            environment: The environment variables of each worker.
        """
        self._address = address
        self._workers = workers
        self._needs = {name: number for name, number in resources.items() if number}
        self._environment = environment
        self._folder: Path | None = None
        self._is_connected = False

    def __enter__(self) -> RayCluster:
        """Return the cluster."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Disconnect; a Ray that was started for this batch ends."""
        if self._is_connected:
            import ray

            ray.shutdown()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def __call__(self) -> RayWorker:
        """Start a worker.

        Raises:
            UsageError: The cluster cannot be used.
        """
        self.connect()
        import ray

        place = Place(Path.cwd(), self._environment, nstbatch.__version__)
        actors = ray.remote(
            num_cpus=self._needs.get("CPU", 0),
            num_gpus=self._needs.get("GPU", 0),
            concurrency_groups={PAINTING: 1, REQUESTS: 1},
        )(RayPainter)
        return RayWorker(actors.remote(place))

    def connect(self) -> None:
        """Connect, from the main thread, since a Ray that is started ends with that.

        Raises:
            UsageError: The cluster cannot be used.
        """
        if self._is_connected:
            return
        hook, handler = sys.excepthook, signal.getsignal(signal.SIGTERM)
        os.environ.update(ENVIRONMENT)
        logging.getLogger("ray").setLevel(logging.ERROR)
        try:
            self._init()
        except (OSError, RuntimeError, ValueError) as error:
            where = "started" if self._address == LOCAL else f"reached at {self._address}"
            told = (isinstance(error, OSError) and error.strerror) or str(error)
            reason = printable(told.partition("\n")[0].rstrip("."))
            raise UsageError(f"Ray cannot be {where}: {reason}.") from error
        finally:  # Ray has its own; Ctrl-C and SIGTERM are the batch's business
            sys.excepthook = hook
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, handler)
        self._is_connected = True
        self._check_room()

    def _init(self) -> None:
        if self._address == LOCAL:
            if "RAY_AUTH_MODE" not in os.environ:  # else Ray stores a token in the home folder
                os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
            folder = tempfile.mkdtemp(prefix="nstbatch-ray-")
            self._folder = Path(folder)
            started: dict[str, Any] = {
                "num_cpus": self._workers * self._needs.get("CPU", 0),
                "include_dashboard": False,
                "_temp_dir": folder if len(folder) <= LONGEST_FOLDER else None,
            }
        else:
            started = {}
            _knock(self._address)
        import ray

        ray.init(self._address, log_to_driver=False, configure_logging=False, **started)

    def _check_room(self) -> None:
        """Say how many workers there is no room for.

        Raises:
            UsageError: There is none for a single one, and there never will be.
        """
        room = sum(self.rooms)
        if room >= self._workers:
            return
        needs = " and ".join(f"{number:g} {name}" for name, number in self._needs.items())
        if not room and self._address == LOCAL:
            raise UsageError(f"This machine has no room for a Ray worker of {needs}.")
        log.warning(
            "Ray has room for %d of %d workers of %s now; the others start when it has more.",
            room,
            self._workers,
            needs,
        )

    @property
    def rooms(self) -> list[int]:
        """Number of workers that there is room for on each machine."""
        import ray

        resources = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return [
            int(min(each.get(name, 0) // number for name, number in self._needs.items()))
            for each in resources
        ]


def _knock(address: str) -> None:
    """Raise an OSError if nobody answers at host:port; Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if port.isdigit():
        with socket.create_connection((host.strip("[]"), int(port)), ANSWERS_WITHIN):
            pass
