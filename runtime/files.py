"""Atomic writing: a file appears under its name complete or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def write_atomically(
    path: Path,
    data: bytes | Callable[[BinaryIO], object],
    token: str | None = None,
    *,
    modified_ns: int | None = None,
) -> None:
    """Write a file; an existing file of that name stays until the new one is complete and on disk.

    Args:
        path: The file to write; its folder must exist.
        data: The whole content, or what writes it to a file.
        token: Part of the temporary file's name, see :func:`temporary_name`; random by default.
            A caller that chooses it can find the temporary file of a process that was killed.
        modified_ns: Modification time to set, in nanoseconds since 1970; None for now.

    Raises:
        OSError: The folder is missing or not writable, or the disk is full. The temporary file is
            removed.
    """
    # Not tempfile: its files are private to the user. The temporary name does not contain the
    # path's own, which may already be as long as the file system allows.
    temporary = path.with_name(temporary_name(token or secrets.token_hex(8)))
    try:
        with temporary.open("xb") as file:
            if callable(data):
                data(file)
            else:
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if modified_ns is not None:
            os.utime(temporary, ns=(modified_ns, modified_ns))
        temporary.replace(path)
    finally:  # after a success it is already gone
        temporary.unlink(missing_ok=True)


def temporary_name(token: str) -> str:
    """Name of the temporary file that is written before it gets its final name."""
    return f".nstbatch-{token}.tmp"
