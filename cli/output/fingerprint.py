"""What a picture was made from, as one SHA-256: the same one means that it need not be made again.

It covers the bytes of the photo and of all other pictures that went in, the verb, its settings, the
network's files, and which of several variations it is. Where it was computed and how precisely,
and what was printed meanwhile, is not part of it: a batch that began on one machine may go on on
another.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from nstbatch.cli.options.invocation import Invocation

# Raise it where the same settings come to mean another picture.
FORMAT = 1

# Options that choose what is painted, where, and what is said about it. The network is known by its
# files, not by its name.
NOT_IN_THE_PICTURE = frozenset(
    {
        *("out", "recursive", "overwrite", "dry_run", "fail_fast"),
        *("json", "quiet", "verbose", "report", "watch_progress", "watch_port", "config"),
        *("model", "device", "precision", "threads", "batch"),
        *("format", "name"),  # another name, another picture
        "class",  # each is the "photo" of its picture
        "variations",  # which one of them is told apart from the settings
    }
)

# The coarsest clock of a common file system: FAT's has two seconds.
CLOCK_TICK = 2_000_000_000

Stamp: TypeAlias = tuple[int, int, int]
"""Size in bytes, and when content and metadata were last changed, in nanoseconds."""


@dataclass(frozen=True)
class Hashed:
    """The SHA-256 of a file, and the stamp that it had then.

    Attributes:
        sha256: 64 hexadecimal digits.
        stamp: As long as the file has it, it is the same file; None where it was too young to tell.
    """

    sha256: str
    stamp: Stamp | None


@dataclass(frozen=True)
class Origin:
    """What all pictures of a batch are made from, besides their photos.

    Attributes:
        verb: The command.
        settings: The options, by their long names.
        files: SHA-256 of the pictures that the options name, by the options' names.
        bundle: SHA-256 of the network's files, by their names.
    """

    verb: str
    settings: Mapping[str, object]
    files: Mapping[str, str] = field(default_factory=dict)
    bundle: Mapping[str, str] = field(default_factory=dict)

    @property
    def in_the_picture(self) -> dict[str, object]:
        """The settings that make a difference to a picture."""
        left_out = NOT_IN_THE_PICTURE | self.files.keys()
        return {name: value for name, value in self.settings.items() if name not in left_out}

    def fingerprint(self, input_sha256: str, variation: int = 0) -> str:
        """Return 64 hexadecimal digits for the picture of a photo."""
        parts = {
            "format": FORMAT,
            "verb": self.verb,
            "settings": self.in_the_picture,
            "files": dict(self.files),
            "bundle": dict(self.bundle),
            "input": input_sha256,
            "variation": variation,
        }
        canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def origin_of(
    invocation: Invocation, sources: Mapping[str, Path | None], bundle: Mapping[str, str]
) -> Origin:
    """Return the origin of a command's pictures, the pictures that it names hashed.

    Args:
        invocation: The command.
        sources: The pictures, by the names of their options; None for one that was not given.
        bundle: SHA-256 of the network's files, by their names.
    """
    hashed = {name: hash_file(path) for name, path in sources.items() if path is not None}
    files = {name: found.sha256 for name, found in hashed.items() if found is not None}
    return Origin(invocation.verb, invocation.settings, files, bundle)


def stamp(path: Path) -> Stamp | None:
    """Return the stamp of a file, or None where there is none to hash: a folder, a pipe, nothing.

    A program can set the time of a content's change, and not that of the metadata's (on POSIX).
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return _stamp(status) if stat.S_ISREG(status.st_mode) else None


def hash_file(path: Path) -> Hashed | None:
    """Hash a file bit by bit; None where it is no regular file, or cannot be read."""
    if stamp(path) is None:  # opening a pipe would wait for its other end
        return None
    try:
        with path.open("rb") as file:
            before = _stamp(os.fstat(file.fileno()))
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
    # Changed again within a tick of the clock, a file may keep its times: git's "racily clean".
    young = time.time_ns() - max(before[1:]) < CLOCK_TICK
    return Hashed(digest, None if young else before)


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
