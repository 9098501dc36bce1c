"""Claims: locks that keep two processes on one output folder from painting the same picture.

A claim is a lock on a file in ``OUT/.nstbatch/``. The system releases it when the process ends,
also after a crash. Beside the lock lies the intent: the ledger's line for a picture that is about
to get its final name. If a process is killed between the two steps, the next one finds the intent
and adds the missing line.

The checkpoint of a picture under way is stored there too, and stays if the batch is stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from nstbatch.cli.text import printable
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.files import temporary_name

if TYPE_CHECKING:
    from filelock import BaseFileLock

FOLDER = ".nstbatch"
LOCK, INTENT, CHECKPOINT = ".lock", ".json", ".npz"
LEDGER_LOCK = f"ledger{LOCK}"


class Claims:
    """The claims on the pictures of an output folder."""

    def __init__(self, out: Path) -> None:
        """Touch no file yet.

        Args:
            out: The output folder.
        """
        self.out = out
        self.folder = out / FOLDER

    def check_writable(self) -> None:
        """Raise a UsageError if pictures cannot be claimed."""
        try:
            with self.ledger_lock():
                pass
        except OSError as error:
            raise UsageError(
                f"The folder {printable(self.folder)} cannot be written to: {error.strerror}."
            ) from error

    def take(self, output: str) -> Claim | None:
        """Claim a picture; return None if another process has claimed it.

        Args:
            output: The picture's path in the output folder, with ``/``.
        """
        return self._take(hashlib.sha256(output.encode(errors="surrogateescape")).hexdigest()[:24])

    def left_behind(self) -> Iterator[Claim]:
        """Yield claims on the pictures that ended processes were painting, one at a time."""
        for path in sorted(self.folder.glob(f"*{LOCK}")):
            if path.name != LEDGER_LOCK and (claim := self._take(path.stem)):
                yield claim

    @contextmanager
    def ledger_lock(self) -> Iterator[None]:
        """Hold the lock on the ledger; to be held for one write only."""
        lock = self._acquire(LEDGER_LOCK, blocking=True)
        try:
            yield
        finally:
            lock.release()

    def close(self) -> None:
        """Remove the folder if it is empty."""
        if not self.folder.is_dir():
            return
        with suppress(OSError):  # held, so that no other process loses a lock that it holds
            with self.ledger_lock():
                (self.folder / LEDGER_LOCK).unlink()
            self.folder.rmdir()

    def _take(self, token: str) -> Claim | None:
        import filelock

        try:
            lock = self._acquire(f"{token}{LOCK}", blocking=False)
        except filelock.Timeout:
            return None
        return Claim(self.folder, token, lock)

    def _acquire(self, name: str, *, blocking: bool) -> BaseFileLock:
        """Lock a file in the folder; raise a FileNotFoundError if the output folder is gone."""
        import filelock

        while True:
            with suppress(FileExistsError):  # ``exist_ok`` fails if it is removed meanwhile
                self.folder.mkdir()
            lock = filelock.FileLock(self.folder / name)
            try:
                lock.acquire(blocking=blocking, poll_interval=0.01)
            except FileNotFoundError:  # another process has just removed the empty folder
                continue
            return lock


class Claim:
    """A claim on one picture: no other process paints it within this ``with`` block."""

    def __init__(self, folder: Path, token: str, lock: BaseFileLock) -> None:
        self.token = token
        """Beginning of the names of this picture's files in the folder."""
        self.checkpoint = folder / f"{token}{CHECKPOINT}"
        """File for the unfinished painting, to resume from."""
        self._intent = folder / f"{token}{INTENT}"
        self._lock = lock

    def __enter__(self) -> Claim:
        """Return the claim, which holds its lock already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release the claim."""
        if not self._intent.exists():  # else the next run must find this claim
            with suppress(OSError):  # held, so that waiting processes notice it is gone
                Path(self._lock.lock_file).unlink()
        self._lock.release()

    def intend(self, record: Mapping[str, object]) -> None:
        """Store the line that the ledger will get once the picture has its name."""
        self._intent.write_text(json.dumps(record), encoding="utf-8")

    @property
    def intended(self) -> dict[str, Any] | None:
        """The stored line; None if there is none, or only a part of one."""
        try:
            record = json.loads(self._intent.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return record if isinstance(record, dict) else None

    def carried_out(self) -> None:
        """Remove the intent: the ledger has its line, or will never get it."""
        self._intent.unlink(missing_ok=True)

    def sweep(self, folder: Path) -> None:
        """Remove the unfinished file of a killed process from a folder."""
        (folder / temporary_name(self.token)).unlink(missing_ok=True)
