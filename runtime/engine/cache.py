"""A folder of what takes long to make, shared by all processes of a user.

Nothing in it is needed: whatever is missing, stale or damaged is made anew, and a folder that
cannot be written to is none. Files appear whole or not at all, and are never changed; the ones
unused the longest go when all together grow too large.

Two kinds of file lie in it. An entry has the name of its key, which is a hash of all that the entry
depends on, and begins with a checksum. A blob has the name of its own hash and checksum, so that
entries share it, and lies there as it is, so that it can be mapped into memory.
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

VARIABLE = "NSTBATCH_CACHE"
OFF = "off"

# Of all files together; VGG16's weights, as a processor wants them, are 80 MB of it. A guess.
LARGEST = 1 << 30
# What is left after old files have been removed, so that this is not done at every write. A guess.
LEFT = 3 / 4

ENTRY, BLOB = "entry", "blob"
DIGEST = hashlib.sha256().digest_size

log = logging.getLogger(__name__)


def cache_folder() -> Path | None:
    """Where the cache lies; None if it is "off".

    In $NSTBATCH_CACHE or the user's cache folder, always in a folder of its own: old files in it
    are removed, and somebody may have named a folder with other things.
    """
    import platformdirs

    chosen = os.environ.get(VARIABLE, "")
    if chosen.lower() == OFF:
        return None
    if chosen:
        return Path(chosen).expanduser() / "nstbatch"
    return platformdirs.user_cache_path("nstbatch", appauthor=False)


def provider_folder(name: str) -> Path | None:
    """A folder within the cache for what a provider keeps itself; None if there can be none."""
    folder = cache_folder()
    if folder is None:
        return None
    try:
        (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder / name


def current_cache() -> Cache | None:
    """The cache of this process, in :func:`cache_folder`; None if it is off."""
    folder = cache_folder()
    return None if folder is None else _cache_at(folder.absolute())


class Cache:
    """The files of one folder."""

    def __init__(self, folder: Path, largest: int = LARGEST) -> None:
        """Use a folder, which need not be there yet.

        Args:
            folder: Whatever lies in it, or in folders within, may be removed.
            largest: Bytes of all files from which on old ones are removed.
        """
        self.folder = folder
        self._largest = largest
        self._sound: set[str] = set()

    def read(self, key: str) -> bytes | None:
        """The entry of a key, or None if it is not there as it was written."""
        path = self.folder / f"{key}.{ENTRY}"
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(data[DIGEST:]).digest() != data[:DIGEST]:
            log.warning("A damaged file of the cache is made anew: %s", path)
            return None
        _touch(path)
        return data[DIGEST:]

    def write(self, key: str, data: bytes) -> None:
        """Keep an entry, if that can be done."""
        self._write(f"{key}.{ENTRY}", hashlib.sha256(data).digest() + data)

    def write_blob(self, data: bytes) -> str:
        """Keep a blob, if that can be done; returns its name."""
        # The hash tells blobs apart; the checksum finds damage in a third of the time.
        name = f"{hashlib.sha256(data).hexdigest()}-{zlib.crc32(data):08x}.{BLOB}"
        if not self.has_blob(name):
            self._write(name, data)
        return name

    def has_blob(self, name: str) -> bool:
        """Whether a blob lies in the folder as it was written; read once a process."""
        path = self.folder / name
        if name not in self._sound:
            checksum = _checksum(path)
            if checksum is None:
                return False
            if not name.endswith(f"-{checksum:08x}.{BLOB}"):
                log.warning("A damaged file of the cache is made anew: %s", path)
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
            log.info("Nothing can be kept in the cache %s: %s", self.folder, error.strerror)
            return
        self._make_room()

    def _make_room(self) -> None:
        """Remove the files unused the longest; what a killed process left half-written is one."""
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
        """When each was last used, its bytes, and where it lies."""
        with suppress(OSError):
            for path in self.folder.rglob("*"):  # what providers keep is in folders of their own
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
    """Note that a file is in use; whether it is still there."""
    now = time.time()
    try:
        os.utime(path, (now, now))
    except FileNotFoundError:
        return False
    except OSError:  # a cache that may only be read
        return True
    return True
