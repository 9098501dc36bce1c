"""Ctrl-C and a request to terminate, turned into a flag that the loop asks for between steps."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

STDERR = 2


class Interrupt:
    """Catches SIGINT and SIGTERM inside a ``with`` block.

    The first one is a request: calling the object tells whether it came, and what is under way is
    given up at the next step, so that nothing is cut in the middle. The second one raises
    KeyboardInterrupt on the spot, for whoever cannot wait for a step.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self._requested = False
        self._previous: dict[signal.Signals, Any] = {}

    def __call__(self) -> bool:
        """Tell whether a signal has come."""
        return self._requested

    def __enter__(self) -> Interrupt:
        # Python only lets the main thread handle signals; elsewhere the program around does.
        if threading.current_thread() is threading.main_thread():
            for number in self.SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and "&" want it
                    self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._requested:
            raise KeyboardInterrupt
        self._requested = True
        # Not print: it may be what the signal has interrupted.
        newline = b"\n" if os.isatty(STDERR) else b""
        os.write(STDERR, newline + b"stopping after this step; once more to stop at once\n")
