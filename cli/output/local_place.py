"""An output folder on a disk, as the place that files are written to."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from nstbatch.cli.jobs.invocation import Invocation
from nstbatch.cli.jobs.painting import BatchStoppedError
from nstbatch.cli.jobs.plan import make_writable
from nstbatch.cli.text import printable
from nstbatch.runtime.files import write_atomically
from nstbatch.runtime.storage.addresses import Stamp

from . import settings_file
from .fingerprint import stamp


class LocalPlace:
    """A folder; see :class:`.kept.Place`."""

    def __init__(self, path: Path, lock: Callable[[], AbstractContextManager[None]]) -> None:
        """Touch nothing yet.

        Args:
            path: The folder; it need not exist.
            lock: Returns the lock to hold while the settings file is written.
        """
        self._path = path
        self._lock = lock
        self._identity: tuple[int, int] | None = None

    def check_writable(self) -> None:
        """Create the folder if it is missing; a UsageError if nothing can be written."""
        make_writable(self._path)
        status = self._path.stat()
        self._identity = (status.st_dev, status.st_ino)

    def check(self) -> None:
        """Raise a BatchStoppedError if the folder is gone or was replaced by another one.

        When a disk is removed, an empty folder stays in its place.
        """
        try:
            status = self._path.stat()
        except OSError as error:
            raise BatchStoppedError(
                f"The output folder {printable(self._path)} is gone: {error.strerror}."
            ) from error
        if (status.st_dev, status.st_ino) != self._identity:
            raise BatchStoppedError(
                f"The output folder {printable(self._path)} is gone: another folder has its name."
            )

    def exists(self, path: Path) -> bool:
        """Return True if there is a file of this name."""
        return os.path.lexists(path)

    def write(
        self, path: Path, data: bytes, token: str, modified_ns: int | None = None
    ) -> Stamp | None:
        """Write a file, and the folders above it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data, token, modified_ns=modified_ns)
        return stamp(path)

    def remove(self, path: Path) -> None:
        """Remove a file, if it is there."""
        path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove the unfinished settings file of a killed process."""
        with self._lock():
            settings_file.sweep(self._path)

    def save_settings(self, run: Invocation) -> None:
        """Write the settings file of a batch."""
        with self._lock():
            settings_file.save(run, self._path)
