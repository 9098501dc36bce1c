"""Names of one file, told to be the same."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from nstbatch.runtime.storage.addresses import RemotePath


class Identities:
    """Maps all names of one file to one string, also for a file that does not exist yet.

    Each folder is resolved once, since ten thousand photos lie in few folders.
    """

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def __call__(self, path: Path) -> str:
        """Return the same string for all names of a file."""
        if isinstance(path, RemotePath):
            return str(path)
        resolved = os.path.normcase(self.resolved(path))
        return resolved.casefold() if sys.platform == "darwin" else resolved

    def resolved(self, path: Path) -> str:
        """Return the absolute path of a file without links, in upper and lower case as given."""
        if isinstance(path, RemotePath):
            return str(path)
        folder, name = os.path.split(path)
        # os.path, because Path raises an OSError for a name that a file system finds too long.
        if not name or name == ".." or os.path.islink(path):  # noqa: PTH114
            return os.path.realpath(path)
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder or ".")
        return os.path.join(self._folders[folder], name)  # noqa: PTH118, for its speed
