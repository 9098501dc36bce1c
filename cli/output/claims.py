"""Claims: who paints which picture, where several processes work on one output folder.

A claim is a lock on a file in ``OUT/.nstbatch/`` that the system gives back when its process ends,
however it ends. Beside the lock lies the intent: the ledger's line for a picture that is about to
appear under its name. Where a process was killed between the two, the next one finds the intent,
and knows what the picture is that no ledger knows.

A picture under way has its checkpoint there as well, which stays when it is stopped.
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
        """Nothing is touched yet.

        Args:
            out: The output folder.
        """
        self.out = out
        self.folder = out / FOLDER

    def check_writable(self) -> None:
        """Raise a UsageError where no claim can be laid."""
        try:
            with self.ledger_lock():
                pass
        except OSError as error:
            raise UsageError(
                f"The folder {printable(self.folder)} cannot be written to: {error.strerror}."
            ) from error

    def take(self, output: str) -> Claim | None:
        """Claim a picture, or return None where another process has.

        Args:
            output: Its path in the output folder, with ``/``.
        """
        return self._take(hashlib.sha256(output.encode(errors="surrogateescape")).hexdigest()[:24])

    def left_behind(self) -> Iterator[Claim]:
        """Claim, one after the other, what processes that are no more were painting."""
        for path in sorted(self.folder.glob(f"*{LOCK}")):
            if path.name != LEDGER_LOCK and (claim := self._take(path.stem)):
                yield claim

    @contextmanager
    def ledger_lock(self) -> Iterator[None]:
        """Hold the lock on the ledger, for no longer than a write takes."""
        lock = self._acquire(LEDGER_LOCK, blocking=True)
        try:
            yield
        finally:
            lock.release()

    def close(self) -> None:
        """Remove the folder, unless something is in it."""
        if not self.folder.is_dir():
            return
        with suppress(OSError):  # held, or it would be taken from under a process that holds it
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
        """Lock a file in the folder; a FileNotFoundError where the output folder is gone."""
        import filelock

        while True:
            with suppress(FileExistsError):  # ``exist_ok`` fails where it is removed meanwhile
                self.folder.mkdir()
            lock = filelock.FileLock(self.folder / name)
            try:
                lock.acquire(blocking=blocking, poll_interval=0.01)
            except FileNotFoundError:  # another process has just removed the folder, as empty
                continue
            return lock


class Claim:
    """One picture, which nobody else paints within this ``with`` block."""

    def __init__(self, folder: Path, token: str, lock: BaseFileLock) -> None:
        self.token = token
        """What the names of this picture's files in the folder begin with."""
        self.checkpoint = folder / f"{token}{CHECKPOINT}"
        """Where the painting may be kept, and gone on from."""
        self._intent = folder / f"{token}{INTENT}"
        self._lock = lock

    def __enter__(self) -> Claim:
        """It was taken already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give it back."""
        if not self._intent.exists():  # else somebody has to come back to it
            with suppress(OSError):  # held, so whoever waits for this file sees that it is gone
                Path(self._lock.lock_file).unlink()
        self._lock.release()

    def intend(self, record: Mapping[str, object]) -> None:
        """Note down the line that the ledger gets as soon as the picture is there."""
        self._intent.write_text(json.dumps(record), encoding="utf-8")

    @property
    def intended(self) -> dict[str, Any] | None:
        """The line that was noted down; None if there is none, or not all of one."""
        try:
            record = json.loads(self._intent.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return record if isinstance(record, dict) else None

    def carried_out(self) -> None:
        """Forget the intent: the ledger has its line, or never will."""
        self._intent.unlink(missing_ok=True)

    def sweep(self, folder: Path) -> None:
        """Remove what a process that was killed was writing there."""
        (folder / temporary_name(self.token)).unlink(missing_ok=True)
