"""The search for photos in stores: objects by their addresses, and those whose names begin alike.

The rules are those of :mod:`.search`. A listing comes in pages, and no more than one is in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice, takewhile
from pathlib import Path, PurePath

from nstbatch.cli.text import printable
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.pictures.images import SUFFIXES
from nstbatch.runtime.storage.addresses import RemotePath
from nstbatch.runtime.storage.store import pattern, store_of

from .globs import Globs
from .left_out import READERS, LeftOut, is_of_a_system

WILDCARD = re.compile(r"[*?\[]")


def there_in_store(path: RemotePath, *, listed: bool = False) -> RemotePath | None:
    """Return the address of an object with its stamp, or that of a folder; None for neither.

    Args:
        path: The address.
        listed: True for one of a long list: a picture's name is then taken for that of an object,
            since each question takes time. If it is wrong, that photo fails.

    Raises:
        UsageError: The store refuses, or cannot be reached.
    """
    if listed and path.suffix.lower() in SUFFIXES:
        return path
    store = store_of(path)
    try:
        version = store.version(path) if path.key or path.is_of_the_web else None
        if version is not None:
            return path.seen(version.stamp)
        return path if any(islice(store.list(path, deep=True), 1)) else None
    except OSError as error:
        raise UsageError(f"{printable(path)} cannot be read: {error.strerror}.") from error


def is_folder(path: RemotePath) -> bool:
    """Return True for an address that :func:`there_in_store` has found to be that of a folder."""
    return not (path.is_of_the_web or path.stamp or path.suffix.lower() in SUFFIXES)


def expanded_in_store(given: RemotePath) -> list[RemotePath]:
    """Return the objects that a pattern names; the pattern itself if it is an object's name.

    Raises:
        UsageError: The store refuses, or cannot be reached.
    """
    if given.is_of_the_web or there_in_store(given) is not None:
        return [given]
    plain = list(takewhile(lambda part: not WILDCARD.search(part), given.parts))
    rest = given.parts[len(plain) :]
    matches = pattern("/".join(rest)).match
    folder = RemotePath(*plain)
    try:
        return [
            path
            for path in store_of(given).list(folder, deep=len(rest) > 1 or "**" in rest)
            if matches("/".join(path.parts[len(plain) :]))
        ]
    except OSError as error:
        raise UsageError(f"{printable(folder)} cannot be read: {error.strerror}.") from error


def pictures_at(path: RemotePath) -> list[RemotePath]:
    """Return the pictures that an address stands for: itself, or those in that folder.

    Raises:
        UsageError: There are none, or the store cannot be reached.
    """
    there = there_in_store(path)
    if there is None:
        raise UsageError(f"There is no file or folder {printable(path)}.")
    if not is_folder(there):
        return [there]
    found = photos_in(path, "", recursive=False, globs=Globs(), left_out=LeftOut())
    try:
        pictures = [picture for picture, _ in found]
    except OSError as error:
        raise UsageError(f"{printable(path)} cannot be read: {error.strerror}.") from error
    if not pictures:
        raise UsageError(f"There is no picture in {printable(path)}.")
    return pictures


def photos_in(
    folder: RemotePath, out: str, *, recursive: bool, globs: Globs, left_out: LeftOut
) -> Iterator[tuple[RemotePath, Path]]:
    """Yield the photos in a folder with their stamps, and their paths within the folder.

    Args:
        folder: The address.
        out: The output folder, which is not searched.
        recursive: True to search subfolders too.
        globs: Patterns that choose among the photos.
        left_out: Counts what is left out.

    Raises:
        OSError: The store refuses, or cannot be reached.
    """
    entered: dict[PurePath, bool] = {PurePath(): True}

    def enters(within: PurePath) -> bool:
        """Return True for a folder that is searched, as those above it are."""
        if within not in entered:
            entered[within] = enters(within.parent) and _enters(
                folder, within, out, globs, left_out
            )
        return entered[within]

    for path in store_of(folder).list(folder, deep=recursive):
        within = Path(*path.parts[len(folder.parts) :])
        suffix = path.suffix.lower()
        if path.name.startswith(".") or not enters(PurePath(within.parent)):
            continue
        if suffix not in SUFFIXES and suffix not in READERS:
            continue
        if not globs.takes(within):
            left_out.excluded += 1
        elif suffix in SUFFIXES:
            yield path, within
        else:
            left_out.pictures[suffix] += 1


def _enters(root: RemotePath, within: PurePath, out: str, globs: Globs, left_out: LeftOut) -> bool:
    path = root.joinpath(within)
    if within.name.startswith(".") or str(path) == out:
        return False
    if is_of_a_system(within.name):
        left_out.folders.append(path)
        return False
    if not globs.enters(within):
        left_out.excluded_folders += 1
        return False
    return True
