"""Files that appear under their names whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_atomically(
    path: Path, data: bytes, token: str | None = None, *, modified_ns: int | None = None
) -> None:
    """Write a file; until it is complete and on disk, whatever had its name before is untouched.

    Args:
        path: Its folder exists.
        data: All of it.
        token: What :func:`temporary_name` makes a name of; a random one by default. Who chooses it
            can find what a process that was killed has left behind.
        modified_ns: When it shall have been modified, in nanoseconds since 1970; None for now.

    Raises:
        OSError: A folder that is missing or cannot be written to, a full disk. Nothing is left.
    """
    # Not tempfile: its files are private to the user, and a name built on path's may be too long.
    temporary = path.with_name(temporary_name(token or secrets.token_hex(8)))
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if modified_ns is not None:
            os.utime(temporary, ns=(modified_ns, modified_ns))
        temporary.replace(path)
    finally:  # gone already, unless something went wrong
        temporary.unlink(missing_ok=True)


def temporary_name(token: str) -> str:
    """The name of a file that is being written."""
    return f".nstbatch-{token}.tmp"
