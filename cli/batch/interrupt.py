"""Turns Ctrl-C and SIGTERM into a flag that the loop reads between steps.

Python runs a signal's handler between two of its own instructions, but a step of a large picture is
one call into ONNX Runtime that may take half a minute. So a thread learns of signals at once as
well, from the byte that Python's handler in C writes (:func:`signal.set_wakeup_fd`).
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any

from nstbatch.cli.exit_codes import INTERRUPTED

STDERR = 2

# Seconds. The process should end within two, and its own end takes some of them.
GRACE = 1.0
# Seconds after the second signal, when the main thread is in the middle of a call.
SHORT_GRACE = 0.2


def _nothing() -> None:
    pass


class Interrupt:
    """Catches SIGINT and SIGTERM inside a ``with`` block.

    The first signal is a request: calling the object then returns True, and the loop ends after
    the current step. The second signal raises KeyboardInterrupt at once.

    If the main thread stays in a call that cannot be ended, the process ends without it. This loses
    no more than a kill would, see :mod:`nstbatch.cli.output.output_folder`.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(
        self, terminate: Callable[[], None] = _nothing, last_words: Callable[[], None] = _nothing
    ) -> None:
        """Catch nothing yet.

        Args:
            terminate: Called in another thread at the first signal, to end a call under way.
            last_words: Called in that thread before it ends the process.
        """
        self._terminate = terminate
        self._last_words = last_words
        self._requested = False
        self._previous: dict[signal.Signals, Any] = {}
        self._watcher: _Watcher | None = None

    def __call__(self) -> bool:
        """Return True if a signal has come."""
        return self._requested

    def __enter__(self) -> Interrupt:
        # Python lets only the main thread handle signals; elsewhere, the caller handles them.
        if threading.current_thread() is threading.main_thread():
            for number in self.SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:  # nohup and "&" ignore it
                    self._previous[number] = signal.signal(number, self._handle)
            self._watcher = _Watcher(self._terminate, self._last_words)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._watcher is not None:
            self._watcher.close()
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._requested:
            raise KeyboardInterrupt
        self._requested = True


class _Watcher:
    """A thread that learns of signals while the main thread is in the middle of a call."""

    def __init__(self, terminate: Callable[[], None], last_words: Callable[[], None]) -> None:
        self._terminate = terminate
        self._last_words = last_words
        self._told, self._teller = socket.socketpair()
        self._teller.setblocking(False)
        self._previous = signal.set_wakeup_fd(self._teller.fileno(), warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._watch, name="signals", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread: the main thread has returned from its work."""
        signal.set_wakeup_fd(self._previous)
        self._teller.close()
        self._thread.join()
        self._told.close()

    def _watch(self) -> None:
        if not self._signal_within(None):
            return
        # os.write, since the signal may have interrupted a print.
        newline = b"\n" if os.isatty(STDERR) else b""
        with suppress(OSError):  # its reader may be gone
            os.write(STDERR, newline + b"stopping after this step; a second Ctrl-C stops at once\n")
        self._terminate()
        if self._signal_within(GRACE) is False or self._signal_within(SHORT_GRACE) is False:
            return
        self._last_words()
        os._exit(INTERRUPTED)

    def _signal_within(self, seconds: float | None) -> bool | None:
        """Return True for a signal, False when the main thread is done, None when time is up."""
        self._told.settimeout(seconds)
        try:
            while data := self._told.recv(16):
                if any(number in Interrupt.SIGNALS for number in data):
                    return True
        except TimeoutError:
            return None
        return False
