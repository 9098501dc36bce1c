"""The search for photos: the files and folders that a user names, and what lies in the folders."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nstbatch.cli.text import printable
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.pictures.images import SUFFIXES
from nstbatch.runtime.storage.addresses import RemotePath

from .globs import Globs
from .identities import Identities
from .left_out import READERS, LeftOut, is_of_a_system
from .parameters import STREAM
from .remote_search import expanded_in_store, is_folder, photos_in, there_in_store

WILDCARDS = frozenset("*?[")


@dataclass(frozen=True)
class Unreadable:
    """A folder that could not be read or a photo that cannot become a picture, and the reason."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Found:
    """A photo.

    Attributes:
        path: Its path.
        place: Its path within the folder that was searched; the picture goes to the same place.
        named: True if the user named it, False if it was found in a folder.
        stored_in: The file that holds a picture from standard input.
    """

    path: Path
    place: Path
    named: bool = False
    stored_in: Path | None = None


@dataclass(frozen=True)
class Search:
    """Where photos are looked for, and which ones are taken.

    A file may have any suffix, since the user named it. In a folder, hidden files (``.x.jpg``, and
    macOS's ``._x.jpg``) are not photos, and links to folders, folders of thumbnails such as
    ``@eaDir`` and the output folder are not searched. Pictures that an earlier run has made are
    not photos either, unless the user names them.

    Attributes:
        inputs: Files, folders, and patterns of their names.
        listed: Files and folders from a list; one that is missing fails alone.
        stored_in: The file that holds the picture from standard input.
        recursive: True to search subfolders too.
        globs: Patterns that choose among the files in folders.
        is_result: Returns True for the resolved path of a picture that an earlier run has made.
        lenient: True to pass over inputs that are gone, as when an earlier command is repeated.
    """

    inputs: Sequence[Path]
    listed: Sequence[Path] = ()
    stored_in: Path | None = None
    recursive: bool = False
    globs: Globs = field(default_factory=Globs)
    is_result: Callable[[str], bool] = lambda path: False
    lenient: bool = False

    def run(self, out: Path, identity: Identities, left_out: LeftOut) -> list[Found | Unreadable]:
        """Return the photos in the order of the inputs, and what could not be read.

        Args:
            out: The output folder, which is only searched if it is an input.
            identity: Tells names of one file to be the same.
            left_out: Counts what is left out.

        Raises:
            UsageError: An input does not exist.
        """
        everything = [
            *self._named(out, identity, left_out),
            *self._in_list(out, identity, left_out),
        ]
        named = {
            identity(each.path) for each in everything if isinstance(each, Found) and each.named
        }
        kept: list[Found | Unreadable] = []
        # The ledgers are read after the folders: a picture gets its name before its line, and
        # another process may be painting in a folder that is searched.
        for found in everything:
            if (
                isinstance(found, Found)
                and not found.named
                and self.is_result(identity.resolved(found.path))
                and identity(found.path) not in named
            ):
                left_out.results.append(found.path)
            else:
                kept.append(found)
        return kept

    def _named(
        self, out: Path, identity: Identities, left_out: LeftOut
    ) -> Iterator[Found | Unreadable]:
        for given in self.inputs:
            if given == STREAM and self.stored_in is not None:
                yield Found(given, Path(self.stored_in.name), True, self.stored_in)
                continue
            paths = _expanded(given)
            if not (paths or self.lenient):
                raise UsageError(f"No file or folder matches {printable(given)}.")
            for path in paths:
                if (there := _there(path)) is not None:
                    yield from self._at(there, out, identity, left_out)
                elif not self.lenient:
                    raise UsageError(f"There is no file or folder {printable(path)}.")

    def _in_list(
        self, out: Path, identity: Identities, left_out: LeftOut
    ) -> Iterator[Found | Unreadable]:
        for path in self.listed:
            if (there := _there(path, listed=True)) is not None:
                yield from self._at(there, out, identity, left_out)
            elif not self.lenient:
                yield Unreadable(path, "There is no such file or folder.")

    def _at(
        self, path: Path, out: Path, identity: Identities, left_out: LeftOut
    ) -> Iterator[Found | Unreadable]:
        if isinstance(path, RemotePath) and is_folder(path):
            try:
                for photo, place in self._in_store(path, identity(out), left_out):
                    yield Found(photo, place)
            except OSError as error:
                yield Unreadable(path, f"The folder cannot be read: {error.strerror}.")
        elif path.is_dir():
            yield from self._scan(path, Path(), identity(out), identity, left_out)
        else:
            yield Found(path, Path(path.name), True)

    def _in_store(
        self, folder: RemotePath, out: str, left_out: LeftOut
    ) -> Iterator[tuple[RemotePath, Path]]:
        return photos_in(folder, out, recursive=self.recursive, globs=self.globs, left_out=left_out)

    def _scan(
        self, root: Path, place: Path, out: str, identity: Identities, left_out: LeftOut
    ) -> Iterator[Found | Unreadable]:
        """Yield the photos in a folder in the order of their names, and the unreadable folders."""
        folder = root / place
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield Unreadable(folder, f"The folder cannot be read: {error.strerror}.")
            return
        for entry in found:
            if entry.name.startswith("."):
                continue
            path, within = folder / entry.name, place / entry.name
            suffix = path.suffix.lower()
            if entry.is_dir(follow_symlinks=False):
                if not self.recursive or identity(path) == out:
                    continue
                if is_of_a_system(entry.name):
                    left_out.folders.append(path)
                elif not self.globs.enters(within):
                    left_out.excluded_folders += 1
                else:
                    yield from self._scan(root, within, out, identity, left_out)
            elif entry.is_dir():
                if self.recursive:
                    left_out.links.append(path)
            elif suffix in SUFFIXES or suffix in READERS:
                if not self.globs.takes(within):
                    left_out.excluded += 1
                elif suffix in SUFFIXES:  # also a broken link: its painter reports it
                    yield Found(path, within)
                else:
                    left_out.pictures[suffix] += 1


def _expanded(path: Path) -> list[Path]:
    """Return the files and folders that a pattern names, as shells do, but for that of Windows.

    A file of exactly this name comes first, so that "IMG[1].jpg" is a name.
    """
    if isinstance(path, RemotePath):
        return [*expanded_in_store(path)] if WILDCARDS & set(path.key) else [path]
    if os.path.lexists(path) or not WILDCARDS & set(os.fspath(path)):
        return [path]
    return sorted(map(Path, glob.glob(os.fspath(path), recursive=True)))  # noqa: PTH207


def _there(path: Path, *, listed: bool = False) -> Path | None:
    """Return a path if there is such a file, folder or link; an object's with its stamp."""
    if isinstance(path, RemotePath):
        return there_in_store(path, listed=listed)
    return path if os.path.lexists(path) else None
