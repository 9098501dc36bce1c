"""Large arrays in files, for pictures whose state outgrows memory.

Arrays of a whole picture (the picture, the optimiser's state, targets) lie in memory by default.
:func:`keep_in` puts those that are made later into files, which the system maps into memory and
writes back as it needs to. A file has no name, so it vanishes with its array, even if the process
is killed.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from .arrays import Array, Shape

# Smaller arrays stay in memory. A guess: they do not matter.
LEAST_BYTES = 2**24

_folders: list[Path] = []


def keep_in(folder: Path | None) -> None:
    """Put large arrays into files on the disk of a folder from now on; None: into memory."""
    _folders[:] = [] if folder is None else [folder]


def is_in_use() -> bool:
    """True if large arrays are put into files."""
    return bool(_folders)


def zeros(shape: Shape) -> Array:
    """Return float32 zeros.

    Raises:
        OSError: The disk is full.
    """
    size = 4 * int(np.prod(shape))
    if not _folders or size < LEAST_BYTES:
        return np.zeros(shape, np.float32)
    with tempfile.TemporaryFile(dir=_folders[0]) as file:
        if hasattr(os, "posix_fallocate"):
            # Takes the room now: a disk that fills up later would end the process.
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
        # A plain array, as the libraries expect; it keeps the mapping alive.
        return np.asarray(np.memmap(file, np.float32, "r+", shape=shape))


def contiguous(values: Array) -> Array:
    """Return contiguous float32 values: these, or a copy."""
    is_already = values.dtype == np.float32 and values.flags.c_contiguous
    return values if is_already else copied(values)


def copied(values: Array) -> Array:
    """Return a contiguous float32 copy."""
    copy = zeros(values.shape)
    copy[...] = values
    return copy
