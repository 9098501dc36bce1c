"""Worker processes on this machine, with pipes to and from them."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from .channel import GRACE
from .messages import Sender, received

PROGRAM = "nstbatch.cli.worker"
"""The module of the program that a worker runs."""


class WorkerProcess:
    """The channel of a process; it starts when this object is made."""

    def __init__(self) -> None:
        with _without_signals():
            self._process = subprocess.Popen(
                (sys.executable, "-m", PROGRAM), stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        assert self._process.stdin is not None
        self._send = Sender(self._process.stdin)

    @property
    def name(self) -> str:
        """See :class:`.channel.Channel`."""
        return f"process {self._process.pid}"

    def send(self, message: Any) -> None:
        """See :class:`.channel.Channel`."""
        with contextlib.suppress(OSError, ValueError):  # it has ended, and so will its messages
            self._send(message)

    def messages(self) -> Iterator[Any]:
        """See :class:`.channel.Channel`."""
        assert self._process.stdout is not None
        with self._process.stdout as pipe:
            yield from received(pipe)
        self._process.wait()

    @property
    def end(self) -> str:
        """See :class:`.channel.Channel`."""
        code = self._process.wait()
        if code >= 0:
            return f"exit code {code}"
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"

    def close(self, *, at_once: bool) -> None:
        """See :class:`.channel.Channel`."""
        with contextlib.suppress(OSError, ValueError):
            self._send.close()
        if at_once:
            self._process.kill()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def _without_signals() -> Iterator[None]:
    """Start a process in this context that no Ctrl-C reaches: it is there for the batch to end."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
