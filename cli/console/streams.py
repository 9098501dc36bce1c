"""Standard streams that are closed, or that nobody reads any more: no picture is lost for them."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def open_closed_streams() -> None:
    """Open closed standard streams on the null device; call it before any file is opened.

    Cron jobs and services may close them. The system gives the next file that is opened the number
    of a closed stream, so a line for standard error could end in a picture.
    """
    for number, (name, mode) in enumerate(STREAMS):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number, which is this one: those below are open by now.
            opened = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(opened, True)  # as programs expect that this one starts
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def outlive_readers_of_messages() -> None:
    """Drop messages on standard error that cannot be written, instead of failing.

    The reader may have ended, as with ``2>&1 | head -1``, or the disk with the log is full. Windows
    has consoles that only Python's own stream can write to.
    """
    if sys.platform == "win32":
        return
    before = sys.stderr
    lasting = io.BufferedWriter(_Forgiving(2, "w", closefd=False))
    sys.stderr = io.TextIOWrapper(
        lasting, before.encoding, before.errors, line_buffering=True, write_through=True
    )


class _Forgiving(io.FileIO):
    """A file whose lost writes are no errors."""

    def write(self, data: Buffer) -> int:
        """Write, and return the number of bytes that are written or lost."""
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def silence(stream: IO[str]) -> None:
    """Send all that is written to a stream from now on to the null device.

    A standard stream that cannot be written would otherwise fail once more when Python ends.
    """
    with suppress(OSError, ValueError):  # it has no number, or there is no null device
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
