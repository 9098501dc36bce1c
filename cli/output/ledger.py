"""The ledger of an output folder: a line of JSON for every picture that was tried, only ever added.

Several processes may add to it. Each line is one write, on disk before the next picture is begun.
A line that is torn, as a crash may leave it, or foreign is passed over.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from nstbatch.cli.text import printable
from nstbatch.runtime.errors import UsageError

from .fingerprint import Stamp

log = logging.getLogger(__name__)

NAME = "nstbatch.jsonl"

FIELDS = {
    "run": str,
    "input": str,
    "output_in_folder": str,
    "status": str,
}
"""What a line about a picture has to have, to be of use."""


@dataclass(frozen=True, eq=False)
class Line:
    """What the ledger says of a picture: the fields that decide what is to be done.

    Attributes:
        run: The run that tried to make it.
        input: The photo, as that run named it.
        output: The picture, by its path in the output folder, with ``/``.
        done: Whether it was made; else it failed.
        reason: Why it failed.
        fingerprint: See :mod:`.fingerprint`; None for a photo that could not be read.
        input_sha256: Of the photo.
        input_stamp: Of the photo, when it was hashed.
        output_sha256: Of the picture.
        output_stamp: Of the picture, when it was finished.
        seconds: How long it took.
        steps: Updates taken.
        megapixels: Of the picture.
    """

    run: str
    input: str
    output: str
    done: bool
    reason: str | None
    fingerprint: str | None
    input_sha256: str | None
    input_stamp: Stamp | None
    output_sha256: str | None
    output_stamp: Stamp | None
    seconds: float
    steps: int
    megapixels: float

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Line | None:
        """Read a line; None for one that lacks what it needs."""
        if any(not isinstance(data.get(name), kind) for name, kind in FIELDS.items()):
            return None
        return cls(
            run=data["run"],
            input=data["input"],
            output=data["output_in_folder"],
            done=data["status"] == "done",
            reason=_text(data.get("reason")),
            fingerprint=_text(data.get("fingerprint")),
            input_sha256=_text(data.get("input_sha256")),
            input_stamp=_stamp(data.get("input_stamp")),
            output_sha256=_text(data.get("output_sha256")),
            output_stamp=_stamp(data.get("output_stamp")),
            seconds=_number(data.get("seconds")),
            steps=int(_number(data.get("steps"))),
            megapixels=_number(data.get("width")) * _number(data.get("height")) / 1e6,
        )


class Ledger:
    """What an output folder's ledger says, and the pen to go on with it."""

    def __init__(
        self, out: Path, lock: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> None:
        """Read it; one that is not there yet is empty.

        Args:
            out: The output folder.
            lock: Gives what is held while a line is added, by one process at a time.

        Raises:
            UsageError: It cannot be read.
        """
        self.path = out / NAME
        self.runs: dict[str, dict[str, Any]] = {}
        """The lines about runs, by the run, in their order."""
        self._lock = lock
        self._last: dict[str, Line] = {}
        self._last_done: dict[str, Line] = {}
        self._read_to = 0
        self._reading = threading.Lock()
        try:
            self.refresh()
        except OSError as error:
            name = printable(self.path)
            raise UsageError(f"The ledger {name} cannot be read: {error.strerror}.") from error

    def last(self, output: str) -> Line | None:
        """Return what became of a picture when it was last tried."""
        return self._last.get(output)

    def last_done(self, output: str) -> Line | None:
        """Return how a picture was made when it was last finished."""
        return self._last_done.get(output)

    @property
    def failures(self) -> list[Line]:
        """The pictures whose last try failed, in the order of their first."""
        return [line for line in self._last.values() if not line.done]

    @property
    def finished(self) -> list[Line]:
        """How each picture was made that ever was."""
        return list(self._last_done.values())

    def refresh(self) -> None:
        """Read what was added since, by other processes too."""
        with self._reading:
            for data in self._added():
                if data.get("kind") == "run" and isinstance(data.get("run"), str):
                    self.runs[data["run"]] = data
                elif data.get("kind") == "image" and (line := Line.parse(data)):
                    self._last[line.output] = line
                    if line.done:
                        self._last_done[line.output] = line

    def _added(self) -> Iterator[dict[str, Any]]:
        try:
            with self.path.open("rb") as file:
                file.seek(self._read_to)
                added = file.read()
        except (FileNotFoundError, NotADirectoryError):
            return
        whole = added.rfind(b"\n") + 1  # the rest may still be being written
        self._read_to += whole
        for number, text in enumerate(added[:whole].split(b"\n")[:-1]):
            try:
                data = json.loads(text)
            except (ValueError, RecursionError) as error:
                log.debug("a line of %s is passed over: %s", printable(self.path), error)
                continue
            if isinstance(data, dict):
                yield data
            else:
                log.debug("line %d of those added is no object", number + 1)

    def check_writable(self) -> None:
        """Raise a UsageError where an existing ledger cannot be added to."""
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
            OSError: It cannot be written whole, as on a full disk; then nothing of it is left.
        """
        # Plain ASCII: names that are not UTF-8, and separators of lines, are spelled out.
        line = json.dumps(record, allow_nan=False).encode() + b"\n"
        with self._lock(), self.path.open("a+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                if file.read(1) != b"\n":  # a torn line is left as it is, on a line of its own
                    line = b"\n" + line
            try:
                written = file.write(line)
                while written < len(line):  # says, the second time, why there was no more
                    written += file.write(line[written:])
                os.fsync(file.fileno())
            except OSError:
                with suppress(OSError):
                    file.truncate(size)
                raise


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _stamp(value: object) -> Stamp | None:
    if isinstance(value, list) and len(value) == 3 and all(isinstance(n, int) for n in value):
        return cast("Stamp", tuple(value))
    return None
