"""Claims on the pictures of an output folder in a store; see :mod:`.remote_records`."""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from nstbatch.runtime.storage.local_copies import scratch_folder

from . import remote_records
from .claims import CHECKPOINT
from .remote_records import Record, RemoteRecords

log = logging.getLogger(__name__)

# Seconds until a picture that another process has claimed is asked for again: each question is
# three requests, and a batch waits for the last pictures of others.
PATIENCE = 2.0

# Seconds that the end of a batch waits for a renewal under way, which no longer matters.
GRACE = 1.0


class RemoteClaims:
    """The claims on the pictures of an output folder in a store, renewed by a thread."""

    def __init__(self, records: RemoteRecords, note: Callable[[str, Record], None]) -> None:
        """Claim nothing yet.

        Args:
            records: The records.
            note: Called with the record of each picture that is claimed, for the ledger.
        """
        self._records = records
        self._note = note
        self._ask_again: dict[str, float] = {}
        self._ended = threading.Event()
        self._renewing: threading.Thread | None = None
        self._lock = threading.Lock()

    def check_writable(self) -> None:
        """Raise a UsageError if pictures cannot be claimed."""
        self._records.check()

    def take(self, output: str) -> RemoteClaim | None:
        """Claim a picture; return None if another process has claimed it.

        Args:
            output: The picture's path in the output folder, with ``/``.
        """
        if time.monotonic() < self._ask_again.get(output, 0.0):
            return None
        known = self._records.read(output) if output in self._records.seen else None
        claimed = self._claimed(output, known) or self._claimed(output, self._records.read(output))
        if claimed is None:
            self._ask_again[output] = time.monotonic() + PATIENCE
            return None
        self._note(output, claimed)
        claim = self._records.held[output] = RemoteClaim(self._records, output, claimed)
        self._keep_renewing()
        return claim

    def _claimed(self, output: str, known: Record | None) -> Record | None:
        """Claim a picture whose record is known; return None if it is another one by now."""
        if known is not None and known.holder and not self._records.has_expired(known):
            return None
        before = known or Record()
        mine = Record(before.lines, holder=secrets.token_hex(8), intent=before.intent)
        return self._records.write(output, mine, known)

    def left_behind(self) -> Iterator[RemoteClaim]:
        """Yield claims on the pictures that ended processes were painting, one at a time."""
        for output, seen in list(self._records.seen.items()):
            is_left = seen.holder and self._records.has_expired(seen)
            if is_left and (claim := self.take(output)) is not None:
                yield claim

    def close(self) -> None:
        """End the thread that renews claims."""
        self._ended.set()
        if self._renewing is not None:
            self._renewing.join(GRACE)

    def _keep_renewing(self) -> None:
        with self._lock:
            if self._renewing is None:
                self._renewing = threading.Thread(target=self._renew, name="claims", daemon=True)
                self._renewing.start()

    def _renew(self) -> None:
        while not self._ended.wait(remote_records.LEASE / 4):
            for claim in list(self._records.held.values()):
                try:
                    claim.renew()
                except OSError as error:  # the painter meets it, too, if it lasts
                    log.warning("A claim could not be renewed: %s", error.strerror)


class LostClaimError(OSError):
    """Another process has taken a claim over, since it was not renewed in time."""

    def __init__(self) -> None:
        super().__init__(0, "another process has taken the picture over, as no word came from here")


class RemoteClaim:
    """A claim on one picture: no other process paints it within this ``with`` block."""

    def __init__(self, records: RemoteRecords, output: str, record: Record) -> None:
        self.token = hashlib.sha256(output.encode()).hexdigest()[:24]
        """Beginning of the names of this picture's files."""
        self.checkpoint: Path = scratch_folder() / f"{self.token}{CHECKPOINT}"
        """File for the unfinished painting; it ends with this process."""
        self._records = records
        self._output = output
        self._record = record
        self._is_over = self._is_lost = False
        self._lock = threading.Lock()

    def __enter__(self) -> RemoteClaim:
        """Return the claim."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release the claim, unless the picture may have its name without its line."""
        with self._lock:
            self._records.held.pop(self._output, None)
            if self._is_over or self._is_lost or self._record.intent is not None:
                return
            self._is_over = True
            # Not removed, even if it is empty by now: that would be no conditional write, and could
            # take a claim away from another process.
            with suppress(OSError):  # else it ends with its lease
                self._records.write(self._output, Record(self._record.lines), self._record)

    def intend(self, record: Mapping[str, object]) -> None:
        """Store the line that the ledger will get once the picture has its name.

        Raises:
            LostClaimError: The picture is no longer this process's.
        """
        with self._lock:
            self._write(replace(self._record, intent=record, renewed=self._record.renewed + 1))

    @property
    def intended(self) -> dict[str, Any] | None:
        """The stored line; None if there is none."""
        return None if self._record.intent is None else dict(self._record.intent)

    def carried_out(self) -> None:
        """Forget the intent: the ledger has its line, or will never get it."""
        with self._lock:
            self._record = replace(self._record, intent=None)

    def sweep(self, folder: Path) -> None:
        """Do nothing: there are no unfinished objects."""

    def renew(self) -> None:
        """Say that this process is still there."""
        with self._lock:
            if not (self._is_over or self._is_lost):
                try:
                    self._write(replace(self._record, renewed=self._record.renewed + 1))
                except LostClaimError as error:
                    log.debug("%s: %s", self._output, error.strerror)

    def finish(self, line: Mapping[str, Any]) -> Record:
        """Add the picture's line to its record, and release the claim with the same write.

        Raises:
            LostClaimError: The picture is no longer this process's.
        """
        done = [each for each in self._record.lines if each.get("status") == "done"]
        lines = (line,) if line.get("status") == "done" else (*done[-1:], line)
        with self._lock:
            self._write(Record(lines))
            self._is_over = True
            return self._record

    def _write(self, record: Record) -> None:
        written = None
        if not self._is_lost:
            written = self._records.write(self._output, record, self._record)
        if written is None:
            self._is_lost = True
            raise LostClaimError
        self._record = replace(written, renewed=record.renewed)
