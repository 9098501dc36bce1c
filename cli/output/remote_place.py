"""An output folder in a store, as the place that files are written to."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from nstbatch.cli.jobs.invocation import SAVED, Invocation
from nstbatch.cli.jobs.painting import BatchStoppedError
from nstbatch.cli.text import printable
from nstbatch.runtime.storage.addresses import RemotePath, Stamp
from nstbatch.runtime.storage.store import store_of

from . import settings_file


class RemotePlace:
    """A prefix of a store; see :class:`.kept.Place`."""

    def __init__(self, path: RemotePath) -> None:
        self._path = path
        self._store = store_of(path)

    def check_writable(self) -> None:
        """Do nothing: to claim pictures, the same must be possible, see the claims."""

    def check(self) -> None:
        """Do nothing: a bucket that is gone refuses the next request."""

    def exists(self, path: Path) -> bool:
        """Return True if there is an object of this name."""
        return self._store.version(cast("RemotePath", path)) is not None

    def write(
        self, path: Path, data: bytes, token: str, modified_ns: int | None = None
    ) -> Stamp | None:
        """Write an object; it gets the store's own time of change.

        Raises:
            BatchStoppedError: The store did not answer, as often as it was asked. So the object may
                be there: the claim and its intent stay, and tell the next run.
        """
        try:
            return self._store.write(cast("RemotePath", path), data).stamp
        except OSError as error:
            raise BatchStoppedError(
                f"Nothing more can be written to {printable(self._path)}: {error.strerror}."
            ) from error

    def remove(self, path: Path) -> None:
        """Remove an object, if it is there."""
        self._store.remove(cast("RemotePath", path))

    def sweep(self) -> None:
        """Do nothing: there are no unfinished objects."""

    def save_settings(self, run: Invocation) -> None:
        """Write the settings file of a batch."""
        self.write(self._path / SAVED, settings_file.text(run, self._path), "")
