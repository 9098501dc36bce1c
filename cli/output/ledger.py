"""The ledger of an output folder: a JSON line for every attempt at a picture; lines are only added.

Several processes may add lines. Each line is one write, and is on disk before the next picture is
started. :mod:`.ledger_lines` reads the lines.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

from nstbatch.cli.text import printable
from nstbatch.runtime.errors import UsageError

from .ledger_lines import PictureLine, RunLine, read_lines

NAME = "nstbatch.jsonl"
NAME_ALONE = ".nstbatch.jsonl"
"""The ledger of pictures whose own names were given as ``--out``, beside those pictures."""


class Ledger:
    """The ledger of an output folder, for reading and for adding lines."""

    def __init__(
        self,
        out: Path,
        lock: Callable[[], AbstractContextManager[None]] = nullcontext,
        name: str = NAME,
    ) -> None:
        """Read the ledger; a missing one is empty.

        Args:
            out: The output folder.
            lock: Returns the lock to hold while a line is added, by one process at a time.
            name: The ledger's name in the folder.

        Raises:
            UsageError: The ledger cannot be read.
        """
        self.path = out / name
        self.runs: dict[str, RunLine] = {}
        """The runs by their IDs, in the order of the ledger."""
        self._lock = lock
        self._last: dict[str, PictureLine] = {}
        self._last_done: dict[str, PictureLine] = {}
        self._bytes_read = self._lines_read = 0
        self._reading = threading.Lock()
        try:
            self.refresh()
        except OSError as error:
            name = printable(self.path)
            raise UsageError(f"The ledger {name} cannot be read: {error.strerror}.") from error

    def last(self, output: str) -> PictureLine | None:
        """Return the last attempt at a picture."""
        return self._last.get(output)

    def last_done(self, output: str) -> PictureLine | None:
        """Return the last successful attempt at a picture."""
        return self._last_done.get(output)

    @property
    def is_there(self) -> bool:
        """True if a batch has been run on the folder."""
        return self.path.is_file()

    def is_under_way(self, output: str) -> bool:
        """Return False: whoever holds a claim has left no picture without its line."""
        return False

    @property
    def failures(self) -> list[PictureLine]:
        """The pictures whose last attempt failed, in the order of their first attempts."""
        return [line for line in self._last.values() if not line.done]

    @property
    def finished(self) -> list[PictureLine]:
        """The last successful attempt at each picture."""
        return list(self._last_done.values())

    def refresh(self) -> None:
        """Read the lines that were added since, also by other processes."""
        with self._reading:
            added = self._added()
            first = self._lines_read + 1
            self._bytes_read += len(added)
            self._lines_read += added.count(b"\n")
            for line in read_lines(added, first):
                if isinstance(line, RunLine):
                    self.runs[line.id] = line
                elif line.run and line.output:
                    self._last[line.output] = line
                    if line.done:
                        self._last_done[line.output] = line

    def _added(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                file.seek(self._bytes_read)
                added = file.read()
        except (FileNotFoundError, NotADirectoryError):
            return b""
        return added[: added.rfind(b"\n") + 1]  # the rest may still be being written

    def check_writable(self) -> None:
        """Raise a UsageError if the ledger exists and no line can be added to it."""
        if not self.path.exists():
            return
        try:
            with self.path.open("ab"):
                pass
        except OSError as error:
            name = printable(self.path)
            raise UsageError(
                f"The ledger {name} cannot be written to: {error.strerror}."
            ) from error

    def append(self, record: Mapping[str, object]) -> None:
        """Add a line, and return when it is on disk.

        Raises:
            OSError: The line cannot be written in full, as on a full disk; its beginning is removed
                again.
        """
        # Plain ASCII: names that are not UTF-8, and separators of lines, are spelled out.
        line = json.dumps(record, allow_nan=False).encode() + b"\n"
        with self._lock(), self.path.open("a+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                if file.read(1) != b"\n":  # the last line is torn: start a new one
                    line = b"\n" + line
            try:
                written = file.write(line)
                while written < len(line):  # the second write raises the reason
                    written += file.write(line[written:])
                os.fsync(file.fileno())
            except OSError:
                with suppress(OSError):
                    file.truncate(size)
                raise
