"""The ledger of an output folder in a store: the lines in the records of its pictures."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

from nstbatch.cli.text import printable
from nstbatch.runtime.errors import UsageError

from .ledger_lines import PictureLine, RunLine, read_lines
from .remote_claims import LostClaimError
from .remote_records import Record, RemoteRecords

log = logging.getLogger(__name__)


class RemoteLedger:
    """The ledger of an output folder in a store; see :class:`.kept.KeptLedger`.

    It keeps the last attempt at each picture and the last successful one, not those before.
    """

    def __init__(self, records: RemoteRecords) -> None:
        """Read all records.

        Raises:
            UsageError: They cannot be read.
        """
        self.runs: dict[str, RunLine] = {}
        """The runs by their IDs, in their order."""
        self._records = records
        self._last: dict[str, PictureLine] = {}
        self._last_done: dict[str, PictureLine] = {}
        self._noted: dict[str, int] = {}
        try:
            runs = [line for data in records.runs() for line in read_lines(data)]
            for output, record in records.read_all():
                self.note(output, record)
        except OSError as error:
            name = printable(records.out)
            raise UsageError(f"The ledger of {name} cannot be read: {error.strerror}.") from error
        found = [line for line in runs if isinstance(line, RunLine)]
        self.runs = {line.id: line for line in sorted(found, key=lambda line: line.time)}

    @property
    def is_there(self) -> bool:
        """True if a batch has been run on the folder."""
        return bool(self.runs)

    @property
    def failures(self) -> list[PictureLine]:
        """The pictures whose last attempt failed, in the order of these attempts."""
        return [line for line in self._in_order(self._last) if not line.done]

    @property
    def finished(self) -> list[PictureLine]:
        """The last successful attempt at each picture."""
        return self._in_order(self._last_done)

    @staticmethod
    def _in_order(lines: Mapping[str, PictureLine]) -> list[PictureLine]:
        return sorted(lines.values(), key=lambda line: line.time)

    def last(self, output: str) -> PictureLine | None:
        """Return the last attempt at a picture."""
        return self._last.get(output)

    def last_done(self, output: str) -> PictureLine | None:
        """Return the last successful attempt at a picture."""
        return self._last_done.get(output)

    def is_under_way(self, output: str) -> bool:
        """Return True if a picture may have its name already, and its line follows."""
        seen = self._records.seen.get(output)
        return seen is not None and seen.has_intent

    def refresh(self) -> None:
        """Do nothing: claiming a picture has read its record."""

    def check_writable(self) -> None:
        """Do nothing: to claim pictures, the same must be possible."""

    def note(self, output: str, record: Record) -> None:
        """Take the lines of a picture's record, unless they are known already."""
        data = b"\n".join(json.dumps(fields).encode() for fields in record.lines)
        if self._noted.get(output) == hash(data):
            return
        self._noted[output] = hash(data)
        for line in read_lines(data):
            if isinstance(line, PictureLine) and line.run and line.output:
                self._last[output] = line
                if line.done:
                    self._last_done[output] = line

    def append(self, record: Mapping[str, object]) -> None:
        """Add a line, and return when it is stored.

        A line about a picture needs its claim, and ends it.

        Raises:
            OSError: The line cannot be written.
        """
        if record["kind"] == "run":
            self._records.add_run(str(record["run"]), record)
            return
        output = str(record["output_in_folder"])
        claim = self._records.held.get(output)
        if claim is None:
            raise AssertionError("a line about a picture is written by the holder of its claim")
        try:
            self.note(output, claim.finish(record))
        except LostClaimError as error:  # its line will come from whoever has the claim by now
            log.warning("%s: %s", printable(output), error.strerror)
