"""The fingerprint of a picture: one SHA-256 of all it is made from.

While the fingerprint is the same, a picture need not be made again. It covers the bytes of the
photo and of the other pictures that went in, the verb, its settings, the network's files and the
number of the variation. It does not cover device, precision and messages: a batch that began on one
machine may be finished on another.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from nstbatch.cli.jobs.invocation import Invocation
from nstbatch.cli.jobs.parameters import Scope
from nstbatch.runtime.storage.addresses import RemotePath, Stamp
from nstbatch.runtime.storage.local_copies import local_copy
from nstbatch.runtime.storage.store import store_of

# Raise it when a change of the code makes other pictures from the same settings.
FORMAT = 1

# The coarsest clock of a common file system: FAT's has two seconds.
CLOCK_TICK = 2_000_000_000


@dataclass(frozen=True)
class Hashed:
    """The SHA-256 of a file, and the stamp that it had then.

    Attributes:
        sha256: 64 hexadecimal digits.
        stamp: While the file has this stamp it is unchanged; None if the file was too young to
            tell.
    """

    sha256: str
    stamp: Stamp | None


@dataclass(frozen=True)
class Origin:
    """All that the pictures of a batch are made from, besides their photos.

    Attributes:
        verb: The command.
        settings: The options that shape a picture, by their long names.
        files: SHA-256 of the pictures that the options name, by the options' names.
        bundle: SHA-256 of the network's files, by their names.
    """

    verb: str
    settings: Mapping[str, object]
    files: Mapping[str, str] = field(default_factory=dict)
    bundle: Mapping[str, str] = field(default_factory=dict)

    @property
    def in_the_picture(self) -> dict[str, object]:
        """The settings that count by their values; of files, their bytes count."""
        return {name: value for name, value in self.settings.items() if name not in self.files}

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


Source: TypeAlias = Path | Sequence[tuple[Path, float]] | None
"""A picture that an option names, or several with their weights; None for none."""


def origin_of(
    invocation: Invocation, sources: Mapping[str, Source], bundle: Mapping[str, str]
) -> Origin:
    """Return the origin of a command's pictures, the pictures that it names hashed.

    Args:
        invocation: The command.
        sources: The pictures, by the names of their options; None for one that was not given.
        bundle: SHA-256 of the network's files, by their names.
    """
    hashed = {name: hash_source(source) for name, source in sources.items()}
    files = {name: sha256 for name, sha256 in hashed.items() if sha256 is not None}
    settings = invocation.within(Scope.PICTURE)
    for name in invocation.arguments:
        settings.pop(name, None)  # each photo has its own hash
    for each in invocation.parameters:
        if each.is_neutral and settings.get(each.name) == each.default:
            settings.pop(each.name, None)
    return Origin(invocation.verb, settings, files, bundle)


def hash_source(source: Source) -> str | None:
    """Return the SHA-256 of a picture, or of the hashes and weights of several.

    A single one counts without its weight, which changes nothing. None if one cannot be read.
    """
    several = [(source, 1.0)] if isinstance(source, Path) else list(source or ())
    hashed = [hash_file(path) for path, _ in several]
    found = [each.sha256 for each in hashed if each is not None]
    if not found or len(found) < len(several):
        return None
    if len(found) == 1:
        return found[0]
    weights = (weight for _, weight in several)
    canonical = json.dumps(list(zip(found, weights, strict=True)))
    return hashlib.sha256(canonical.encode()).hexdigest()


def stamp(path: Path) -> Stamp | None:
    """Return the stamp of a file, or None if there is no regular file.

    A program can set the time of a content's change, and not that of the metadata's (on POSIX).
    """
    if isinstance(path, RemotePath):
        return _stamp_in_store(path)
    try:
        status = path.stat()
    except OSError:
        return None
    return _stamp(status) if stat.S_ISREG(status.st_mode) else None


def hash_file(path: Path) -> Hashed | None:
    """Hash a file piece by piece; None if it is no regular file or cannot be read."""
    if isinstance(path, RemotePath):
        return _hash_in_store(path)
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


def _stamp_in_store(path: RemotePath) -> Stamp | None:
    if path.stamp is not None:
        return path.stamp
    try:
        version = store_of(path).version(path)
    except OSError:
        return None
    return None if version is None else version.stamp


def _hash_in_store(path: RemotePath) -> Hashed | None:
    """Hash an object; the stamp is older than the bytes, so it never vouches for others."""
    before = _stamp_in_store(path)
    try:
        with local_copy(path) as copy, copy.open("rb") as file:
            return Hashed(hashlib.file_digest(file, "sha256").hexdigest(), before)
    except OSError:
        return None
