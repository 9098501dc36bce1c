"""The parts of an output folder, as a batch uses them: on a disk, or in a store.

On a disk, claims are locks and the ledger is a file (:mod:`.claims`, :mod:`.ledger`,
:mod:`.local_place`). In a store, each picture has an object that is both its claim and its line
(:mod:`.remote_records`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from nstbatch.runtime.storage.addresses import RemotePath, Stamp

if TYPE_CHECKING:
    from nstbatch.cli.jobs.invocation import Invocation

    from .ledger_lines import PictureLine, RunLine


class KeptClaim(AbstractContextManager["KeptClaim"], Protocol):
    """A claim on one picture; see :class:`.claims.Claim`."""

    token: str
    checkpoint: Path

    @property
    def intended(self) -> dict[str, Any] | None:
        """The stored line of the ledger; None if there is none."""

    def intend(self, record: Mapping[str, object]) -> None:
        """Store the line that the ledger will get once the picture has its name."""

    def carried_out(self) -> None:
        """Remove the intent."""

    def sweep(self, folder: Path) -> None:
        """Remove the unfinished file of a killed process from a folder."""


class KeptClaims(Protocol):
    """The claims on the pictures of a folder; see :class:`.claims.Claims`."""

    def check_writable(self) -> None:
        """Raise a UsageError if pictures cannot be claimed."""

    def take(self, output: str) -> KeptClaim | None:
        """Claim a picture; return None if another process has claimed it."""

    def left_behind(self) -> Iterator[KeptClaim]:
        """Yield claims on the pictures that ended processes were painting."""

    def close(self) -> None:
        """Remove what only served the batch."""


class KeptLedger(Protocol):
    """The ledger of a folder; see :class:`.ledger.Ledger`."""

    runs: dict[str, RunLine]

    @property
    def is_there(self) -> bool:
        """True if a batch has been run on the folder."""

    @property
    def failures(self) -> list[PictureLine]:
        """The pictures whose last attempt failed."""

    @property
    def finished(self) -> list[PictureLine]:
        """The last successful attempt at each picture."""

    def last(self, output: str) -> PictureLine | None:
        """Return the last attempt at a picture."""

    def last_done(self, output: str) -> PictureLine | None:
        """Return the last successful attempt at a picture."""

    def is_under_way(self, output: str) -> bool:
        """Return True if a picture may have its name already, and its line follows."""

    def refresh(self) -> None:
        """Read the lines that other processes have added about claimed pictures."""

    def check_writable(self) -> None:
        """Raise a UsageError if no line can be added."""

    def append(self, record: Mapping[str, object]) -> None:
        """Add a line, and return when it is stored; an OSError if it cannot be."""


class Place(Protocol):
    """Where pictures and other files are written."""

    def check_writable(self) -> None:
        """Raise a UsageError if nothing can be written."""

    def check(self) -> None:
        """Raise a BatchStoppedError if the place is gone."""

    def exists(self, path: Path) -> bool:
        """Return True if there is a file of this name."""

    def write(
        self, path: Path, data: bytes, token: str, modified_ns: int | None = None
    ) -> Stamp | None:
        """Write a file, which appears as a whole or not at all, and return its stamp."""

    def remove(self, path: Path) -> None:
        """Remove a file, if it is there."""

    def sweep(self) -> None:
        """Remove the unfinished files of killed processes that no claim leads to."""

    def save_settings(self, run: Invocation) -> None:
        """Write the settings file of a batch."""


class Kept(NamedTuple):
    """The parts of one output folder."""

    place: Place
    claims: KeptClaims
    ledger: KeptLedger


def kept_in(out: Path, *, alone: bool = False) -> Kept:
    """Return the parts of an output folder; nothing is changed yet.

    Args:
        out: The folder.
        alone: True for one picture in a folder that is no output folder.

    Raises:
        UsageError: The ledger cannot be read, or the store cannot be written to.
    """
    if isinstance(out, RemotePath):
        from .remote_claims import RemoteClaims
        from .remote_ledger import RemoteLedger
        from .remote_place import RemotePlace
        from .remote_records import RemoteRecords

        records = RemoteRecords(out)
        ledger = RemoteLedger(records)
        return Kept(RemotePlace(out), RemoteClaims(records, ledger.note), ledger)
    from .claims import Claims
    from .ledger import NAME, NAME_ALONE, Ledger
    from .local_place import LocalPlace

    claims = Claims(out)
    on_disk = Ledger(out, claims.ledger_lock, NAME_ALONE if alone else NAME)
    return Kept(LocalPlace(out, claims.ledger_lock), claims, on_disk)
