"""The records of an output folder in a store: one small object for each picture, and each run.

No object can be appended to, and no lock can be held. So a picture's record,
``OUT/.nstbatch/pictures/NAME.json``, is its claim, its intent and its lines of the ledger in one.
It changes by conditional writes alone: a process that has not seen the last change cannot write. A
claim ends with its lease, unless its holder renews it. Age is told by the store's own clock.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from nstbatch.cli.text import printable
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.storage.addresses import RemotePath
from nstbatch.runtime.storage.requests import ABSENT
from nstbatch.runtime.storage.store import store_of

FOLDER = ".nstbatch"
PICTURES, RUNS = "pictures", "runs"
SUFFIX = ".json"

# Seconds without a renewal after which a claim's holder counts as ended. It is renewed every fourth
# part of that, so three renewals may be lost. A guess: longer makes a repeated command wait longer.
LEASE = 60.0

# Records are read side by side: each takes the store some 20 ms to answer, and no work here.
READERS = 16


@dataclass(frozen=True)
class Record:
    """The record of one picture.

    Attributes:
        lines: The ledger's line of the last attempt, and before it that of the last successful one,
            if it is another.
        holder: Who has claimed the picture; empty if nobody has.
        renewed: How often the claim was renewed, so that each renewal is another version.
        intent: The line that is to be added once the picture has its name.
        version: The store's version of the record.
        modified: When it was written by the store's clock, in seconds since 1970.
    """

    lines: tuple[Mapping[str, Any], ...] = ()
    holder: str = ""
    renewed: int = 0
    intent: Mapping[str, Any] | None = None
    version: str = field(default=ABSENT, compare=False)
    modified: float = field(default=0.0, compare=False)

    def encoded(self) -> bytes:
        """Return the record's object; it differs from those of all other processes."""
        fields = {
            "holder": self.holder,
            "renewed": self.renewed,
            "intent": self.intent,
            "lines": self.lines,
        }
        return json.dumps(fields, allow_nan=False).encode() + b"\n"

    @classmethod
    def decoded(cls, data: bytes, version: str, modified: float) -> Record:
        """Return the record in an object; a damaged one is empty."""
        try:
            fields = json.loads(data)
        except (ValueError, RecursionError):
            fields = None
        if not isinstance(fields, dict):
            fields = {}
        lines, intent = fields.get("lines"), fields.get("intent")
        return cls(
            tuple(each for each in lines if isinstance(each, dict))
            if isinstance(lines, list)
            else (),
            str(fields.get("holder") or ""),
            intent=intent if isinstance(intent, dict) else None,
            version=version,
            modified=modified,
        )


class Seen(NamedTuple):
    """The part of a record that stays in memory, for each picture of a batch."""

    holder: str
    has_intent: bool
    modified: float


class Holder(Protocol):
    """A claim of this process."""

    def renew(self) -> None:
        """Say that this process is still there."""

    def finish(self, line: Mapping[str, Any]) -> Record:
        """Add the picture's line to its record, and release the claim with the same write."""


class RemoteRecords:
    """All records of an output folder in a store."""

    def __init__(self, out: RemotePath) -> None:
        """Read nothing yet.

        Raises:
            UsageError: The address is one of the web, or packages for it are missing.
        """
        if out.is_of_the_web:
            raise UsageError("Addresses of the web can only be read: give --out a folder.")
        self.out = out
        self.seen: dict[str, Seen] = {}
        """The records as this process has last seen them, by the names of their pictures."""
        self.held: dict[str, Holder] = {}
        """The claims of this process."""
        self._store = store_of(out)
        self._ahead = 0.0

    def runs(self) -> list[bytes]:
        """Return the lines about the runs on the folder."""
        folder = self.out / FOLDER / RUNS
        return [data for _, data, *_ in self._read_all(folder)]

    def add_run(self, run: str, record: Mapping[str, object]) -> None:
        """Add the line about a run."""
        data = json.dumps(record, allow_nan=False).encode() + b"\n"
        self._store.write(self.out / FOLDER / RUNS / f"{run}{SUFFIX}", data)

    def read_all(self) -> Iterator[tuple[str, Record]]:
        """Yield the records of all pictures, by the pictures' names."""
        for path, data, version, modified in self._read_all(self.out / FOLDER / PICTURES):
            key = _name(path, self.out / FOLDER / PICTURES)
            yield key, self._see(key, Record.decoded(data, version, modified))

    def _see(self, key: str, record: Record) -> Record:
        self.seen[key] = Seen(record.holder, record.intent is not None, record.modified)
        return record

    def _read_all(self, folder: RemotePath) -> Iterator[tuple[RemotePath, bytes, str, float]]:
        paths = self._store.list(folder, deep=True)
        with ThreadPoolExecutor(READERS, thread_name_prefix="records") as pool:
            while some := list(islice(paths, 4 * READERS)):
                for path, found in zip(some, pool.map(self._store.read, some), strict=True):
                    if found is not None:  # else it was removed since
                        data, version = found
                        yield path, data, version.name, version.modified

    def read(self, key: str) -> Record | None:
        """Return a picture's record as it is now; None if there is none."""
        found = self._store.read(self._path(key))
        if found is None:
            self.seen.pop(key, None)
            return None
        data, version = found
        return self._see(key, Record.decoded(data, version.name, version.modified))

    def write(self, key: str, record: Record, expected: Record | None) -> Record | None:
        """Write a record if the one in the store is still the expected one; else return None."""
        data = record.encoded()
        before = ABSENT if expected is None else expected.version
        version = self._store.write_if(self._path(key), data, before)
        if version is None:
            return None
        return self._see(key, Record.decoded(data, version.name, self.now()))

    def has_expired(self, record: Record | Seen) -> bool:
        """Return True if the holder of a claim has not renewed it for longer than its lease."""
        return self.now() - record.modified > LEASE

    def now(self) -> float:
        """Return the time by the store's clock."""
        return time.time() + self._ahead

    def check(self) -> None:
        """Write on a condition, see that a second write is refused, and set the clock.

        Raises:
            UsageError: Nothing can be written, or the store knows no conditions: then two processes
                could paint one picture.
        """
        place = printable(self.out)
        probe = self.out / FOLDER / f"probe-{secrets.token_hex(8)}"
        try:
            self._store.write_if(probe, b"first", ABSENT)
            found = self._store.read(probe)
            is_sure = self._store.write_if(probe, b"second", ABSENT) is None
            self._store.remove(probe)
        except OSError as error:
            raise UsageError(f"{place} cannot be written to: {error.strerror}.") from error
        if found is not None and found[1].modified:
            self._ahead = found[1].modified - time.time()
        if not is_sure:
            raise UsageError(
                f"The store of {place} writes without regard to conditions (If-None-Match), so "
                "nstbatch cannot keep two processes from painting the same picture. Give --out a "
                "folder, and copy it afterwards."
            )

    def _path(self, key: str) -> RemotePath:
        return self.out / FOLDER / PICTURES / f"{key}{SUFFIX}"


def pictures_in_store(folder: Path) -> frozenset[str]:
    """Return the names of the pictures that have records in a folder of a store."""
    if not isinstance(folder, RemotePath) or folder.is_of_the_web:
        return frozenset()
    place = folder / FOLDER / PICTURES
    with suppress(OSError):  # it is not ours to read
        return frozenset(_name(path, place) for path in store_of(folder).list(place, deep=True))
    return frozenset()


def _name(path: RemotePath, folder: RemotePath) -> str:
    return "/".join(path.parts[len(folder.parts) :]).removesuffix(SUFFIX)
