"""A cache on disk for results that take long to make, shared by all processes of a user.

No file in it is necessary: a missing, stale or damaged one is made again, and without write access
nothing is cached. Files appear whole or not at all, and never change; the least recently used ones
are removed when all together grow too large.

There are two kinds of file. An entry is named by its key, a hash of everything that the entry
depends on, and begins with a checksum. A blob is named by its own hash and checksum, so entries can
share it, and holds nothing but its bytes, so it can be mapped into memory.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import mmap
import os
import stat
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from nstbatch.runtime.files import write_atomically
from nstbatch.runtime.user_folders import cache_folder

# Bytes of all files together; VGG16's weights, laid out for a processor, are 80 MB. A guess.
LARGEST = 1 << 30
# Share that stays when old files are removed, since doing so at every write is slow. A guess.
LEFT = 3 / 4

ENTRY, BLOB = "entry", "blob"
DIGEST = hashlib.sha256().digest_size

log = logging.getLogger(__name__)


def provider_folder(name: str) -> Path | None:
    """Return a folder in the cache for a provider's own files; None if it cannot be made."""
    folder = cache_folder()
    if folder is None:
        return None
    try:
        (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder / name if os.access(folder / name, os.W_OK) else None


def current_cache() -> Cache | None:
    """Return the cache of this process, in :func:`cache_folder`; None if it is off."""
    folder = cache_folder()
    return None if folder is None else _cache_at(folder.absolute())


class Cache:
    """The files of one folder."""

    def __init__(self, folder: Path, largest: int = LARGEST) -> None:
        """Use a folder, which need not exist yet.

        Args:
            folder: Any file in it, or in folders within, may be removed.
            largest: Largest size of all files in bytes; above it, old ones are removed.
        """
        self.folder = folder
        self._largest = largest
        self._sound: set[str] = set()
        self._has_failed = False

    def read(self, key: str) -> bytes | None:
        """Return the entry of a key; None if it is missing or damaged."""
        path = self.folder / f"{key}.{ENTRY}"
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(data[DIGEST:]).digest() != data[:DIGEST]:
            log.warning("A damaged file of the cache is made again: %s", path)
            return None
        _touch(path)
        return data[DIGEST:]

    def write(self, key: str, data: bytes) -> None:
        """Write an entry; do nothing if the folder cannot be written to."""
        self._write(f"{key}.{ENTRY}", hashlib.sha256(data).digest() + data)

    def write_blob(self, data: bytes) -> str:
        """Write a blob, if the folder can be written to; return its name."""
        # The hash tells blobs apart; the checksum finds damage in a third of the time.
        name = f"{hashlib.sha256(data).hexdigest()}-{zlib.crc32(data):08x}.{BLOB}"
        if not self.has_blob(name):
            self._write(name, data)
        return name

    def has_blob(self, name: str) -> bool:
        """Tell whether a blob is there and undamaged; it is read once per process."""
        path = self.folder / name
        if name not in self._sound:
            checksum = _checksum(path)
            if checksum is None:
                return False
            if not name.endswith(f"-{checksum:08x}.{BLOB}"):
                log.warning("A damaged file of the cache is made again: %s", path)
                return False
            self._sound.add(name)
        return _touch(path)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(size for _, size, _ in self._files())

    def _write(self, name: str, data: bytes) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self.folder / name, data)
        except OSError as error:
            if not self._has_failed:  # one line, not one for each file
                log.debug("The cache %s cannot be written to: %s", self.folder, error.strerror)
            self._has_failed = True
            return
        self._make_room()

    def _make_room(self) -> None:
        """Remove the least recently used files, and those that a killed process left unfinished."""
        size = self.size
        if size <= self._largest:
            return
        for _, bytes_, path in sorted(self._files()):
            if size <= LEFT * self._largest:
                break
            # Windows keeps what another process has mapped, and another may have been here first.
            with suppress(OSError):
                path.unlink()
                size -= bytes_

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """Yield the time of last use, the size in bytes and the path of every file."""
        with suppress(OSError):
            for path in self.folder.rglob("*"):  # providers keep theirs in folders within
                with suppress(OSError):
                    status = path.stat()
                    if stat.S_ISREG(status.st_mode):
                        yield status.st_mtime, status.st_size, path


def _checksum(path: Path) -> int | None:
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            return zlib.crc32(data)
    except (OSError, ValueError):  # ValueError: an empty file cannot be mapped
        return None


@functools.cache
def _cache_at(folder: Path) -> Cache:
    return Cache(folder)


def _touch(path: Path) -> bool:
    """Note that a file is in use; return False if it is gone."""
    now = time.time()
    try:
        os.utime(path, (now, now))
    except FileNotFoundError:
        return False
    except OSError:  # a cache that may only be read
        return True
    return True
