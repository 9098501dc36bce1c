"""Copies of objects in files, for as long as they are read.

They lie in a folder of this process among the system's temporary files, which the system gives to
nobody else. A process that was killed leaves its folder; the next one removes it.
"""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from .addresses import RemotePath
from .store import store_of

if TYPE_CHECKING:
    from filelock import BaseFileLock

PREFIX = "nstbatch-copies-"
LOCK = "in-use.lock"


@contextmanager
def local_copy(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield the file of a path: of an object a copy that is removed afterwards.

    Raises:
        OSError: The object is missing, or cannot be fetched.
    """
    if not isinstance(path, RemotePath):
        yield Path(path)
        return
    file = scratch_folder() / f"{secrets.token_hex(8)}{path.suffix}"
    try:
        store_of(path).fetch(path, file)
        yield file
    finally:
        file.unlink(missing_ok=True)


def scratch_folder() -> Path:
    """Return this process's folder for copies, which ends with the process."""
    return _made(os.getpid())  # a forked process has one of its own


_held: list[BaseFileLock] = []


@cache
def _made(_: int) -> Path:
    root = Path(tempfile.gettempdir())
    _remove_abandoned(root)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
    _held.append(_locked(folder))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _remove_abandoned(root: Path) -> None:
    """Remove the folders whose processes have ended without doing so."""
    import filelock

    for folder in root.glob(f"{PREFIX}*"):
        with suppress(OSError, filelock.Timeout):
            if not (folder / LOCK).exists():  # another process is just making it
                continue
            lock = _locked(folder)
            shutil.rmtree(folder, ignore_errors=True)
            lock.release()


def _locked(folder: Path) -> BaseFileLock:
    import filelock

    lock = filelock.FileLock(folder / LOCK)
    lock.acquire(blocking=False)
    return lock
