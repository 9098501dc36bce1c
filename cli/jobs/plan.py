"""The plan of a batch: the picture that each photo becomes, decided before the first step.

The plan refuses everything that would destroy a file: two photos that would become one picture, or
a picture that would overwrite a photo.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from nstbatch.cli.text import printable, shell
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.pictures.images import SUFFIXES, WRITABLE_SUFFIXES

from .left_out import READERS, LeftOut, is_of_a_system
from .naming import NameTooLongError, Naming, check_length
from .parameters import Setting

# For photos of a format that cannot be written: PNG is lossless, and every program opens it.
FALLBACK_SUFFIX = ".png"

SHOWN_PROBLEMS = 5


class Source(StrEnum):
    """The kind of thing that a picture is made from."""

    PHOTO = "photo"
    NOTHING = "nothing"
    """Noise; the job's ``input`` is a word for it, such as the name of a class."""
    IMAGES = "images"
    """Many images at once; the job's ``input`` is a word for the part of them that is shown."""


@dataclass(frozen=True)
class Job:
    """One picture to make, and its source.

    Attributes:
        input: The photo; or a word, see :class:`Source`.
        output: The picture.
        variation: Number of the variation among several pictures of one photo, from 0 on.
        source: The kind of its source.
        digest: SHA-256 of all that a picture of many images is made from.
        details: Further fields of its line in ``--json`` and the ledger.
        settings: Settings that make this picture alone, for its recipe; None removes one.
        checkpoint: A file for the unfinished painting, to resume from.
    """

    input: Path
    output: Path
    variation: int = 0
    source: Source = Source.PHOTO
    digest: str = ""
    details: Mapping[str, object] = field(default_factory=dict, compare=False)
    settings: Mapping[str, Setting] = field(default_factory=dict, compare=False)
    checkpoint: Path | None = field(default=None, compare=False)

    @property
    def photo(self) -> Path | None:
        """The photo, if there is one."""
        return self.input if self.source is Source.PHOTO else None

    @property
    def name(self) -> str:
        """A short name for people: the photo's without its folder, or the word."""
        return self.input.name if self.photo else os.fspath(self.input)


@dataclass(frozen=True)
class Unreadable:
    """A folder that could not be read or a photo that cannot become a picture, and the reason."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Plan:
    """The jobs of a batch in their order, and the folders and photos that fail without a try."""

    jobs: tuple[Job, ...]
    unreadable: tuple[Unreadable, ...] = ()
    left_out: LeftOut = field(default_factory=LeftOut, compare=False)


def make_plan(
    inputs: Iterable[Path],
    out: Path,
    *,
    recursive: bool = False,
    keep: Sequence[Path] = (),
    suffix: str | None = None,
    variations: int = 1,
    naming: Naming | None = None,
) -> Plan:
    """Find the photos, and decide the picture that each one becomes.

    A file becomes ``out/NAME``; the photos in a folder become ``out/PATH``, their path within that
    folder. A picture keeps its photo's suffix, or gets .png if that format cannot be written.
    Hidden files in a folder (``.x.jpg``, and macOS's ``._x.jpg``) are not taken as photos; the
    output folder, links to folders, and folders of thumbnails such as ``@eaDir`` are not searched.

    Args:
        inputs: Files and folders. A file may have any suffix, since the user named it.
        out: The folder for the pictures.
        recursive: True to search subfolders too.
        keep: Further files that no picture may overwrite.
        suffix: Suffix of all pictures; by default that of each photo.
        variations: Number of pictures for each photo; several are named NAME-1, NAME-2, ...
        naming: Names of the pictures; by default those of the photos.

    Raises:
        UsageError: An input does not exist, two photos would become one picture, or a picture
            would overwrite a photo or a file in ``keep``.
    """
    identity = _Identities()
    jobs: dict[tuple[str, str], Job] = {}  # in order; a photo named twice counts once
    unreadable: dict[tuple[str, int], Unreadable] = {}
    photos: dict[str, int] = {}  # the number of photos before each
    inputs, left_out = list(inputs), LeftOut()
    if suffix is not None:
        _refuse_own_results(inputs, out, identity)
    for folder, found in _found(inputs, out, recursive, identity, left_out):
        if isinstance(found, Unreadable):
            unreadable[identity(found.path), 0] = found
            continue
        path = _picture_path(out / found.relative_to(folder), suffix)
        source = identity(found)
        index = photos.setdefault(source, len(photos))
        for variation in range(variations):
            try:
                output = _named(path, index, variation, variations, naming)
            except NameTooLongError as error:
                unreadable[source, variation] = Unreadable(found, str(error))
                continue
            jobs.setdefault((source, identity(output)), Job(found, output, variation))
    _refuse(_problems(jobs, {identity(path) for path in keep}), naming)
    return Plan(tuple(jobs.values()), tuple(unreadable.values()), left_out)


def find_images(
    inputs: Iterable[Path], out: Path, *, recursive: bool = False
) -> tuple[list[Path], list[Unreadable], LeftOut]:
    """Find the images for results that are made from all of them, and the unreadable folders.

    Args:
        inputs: Files, and folders of photos.
        out: The folder for the results; it is not searched.
        recursive: True to search subfolders too.

    Raises:
        UsageError: An input does not exist, or is the output folder.
    """
    identity = _Identities()
    inputs, left_out = list(inputs), LeftOut()
    _refuse_own_results(inputs, out, identity)
    images: dict[str, Path] = {}  # in order; a photo named twice counts once
    unreadable = []
    for _, found in _found(inputs, out, recursive, identity, left_out):
        if isinstance(found, Unreadable):
            unreadable.append(found)
        else:
            images.setdefault(identity(found), found)
    return list(images.values()), unreadable, left_out


def make_writable(folder: Path) -> None:
    """Create a folder if it is missing, and check that files can be created in it.

    Raises:
        UsageError: The folder or a file cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(
            f"The output folder {printable(folder)} cannot be written to: {error.strerror}."
        ) from error


def _refuse_own_results(inputs: Iterable[Path], out: Path, identity: _Identities) -> None:
    """Raise a UsageError if the output folder is also an input."""
    if identity(out) in map(identity, inputs):
        raise UsageError(
            f"The output folder {printable(out)} is also an input: the next run would take the "
            "results for photos. Choose another output folder with --out."
        )


def _found(
    inputs: Iterable[Path], out: Path, recursive: bool, identity: _Identities, left_out: LeftOut
) -> Iterator[tuple[Path, Path | Unreadable]]:
    """Yield (folder, photo) for each photo found; its path from that folder is kept in ``out``."""
    for path in inputs:
        if not os.path.lexists(path):
            raise UsageError(f"There is no file or folder {printable(path)}.")
        if path.is_dir():
            for found in _scan(path, identity(out), recursive, identity, left_out):
                yield path, found
        else:
            yield path.parent, path


def _scan(
    folder: Path, out: str, recursive: bool, identity: _Identities, left_out: LeftOut
) -> Iterator[Path | Unreadable]:
    """Yield the photos in a folder in the order of their names, and the unreadable folders."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        yield Unreadable(folder, f"The folder cannot be read: {error.strerror}.")
        return
    for entry in found:
        path = folder / entry.name
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            if not recursive or identity(path) == out:
                continue
            if is_of_a_system(entry.name):
                left_out.folders.append(path)
            else:
                yield from _scan(path, out, recursive, identity, left_out)
        elif entry.is_dir():
            if recursive:
                left_out.links.append(path)
        elif path.suffix.lower() in SUFFIXES:  # also a broken link: its painter reports it
            yield path
        elif path.suffix.lower() in READERS:
            left_out.pictures[path.suffix.lower()] += 1


def _picture_path(path: Path, wanted: str | None) -> Path:
    suffix = path.suffix.lower()
    if wanted is None and suffix in WRITABLE_SUFFIXES:
        return path
    if suffix in SUFFIXES:
        return path.with_suffix(wanted or FALLBACK_SUFFIX)
    return path.with_name(path.name + (wanted or FALLBACK_SUFFIX))


def _named(path: Path, index: int, variation: int, variations: int, naming: Naming | None) -> Path:
    tells_variations = False
    if naming is not None:
        path, tells_variations = naming.renamed(path, index, variation), naming.tells_variations
    if variations > 1 and not tells_variations:
        path = path.with_stem(f"{path.stem}-{variation + 1}")
    check_length(path.name)
    return path


class _Identities:
    """Maps all names of one file to one string, also for a file that does not exist yet.

    Each folder is resolved once, since ten thousand photos lie in few folders.
    """

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def __call__(self, path: Path) -> str:
        folder, name = os.path.split(path)
        # os.path, because Path raises an OSError for a name that a file system finds too long.
        if not name or name == ".." or os.path.islink(path):  # noqa: PTH114
            resolved = os.path.realpath(path)
        else:
            if folder not in self._folders:
                self._folders[folder] = os.path.realpath(folder or ".")
            resolved = os.path.join(self._folders[folder], name)  # noqa: PTH118, for its speed
        resolved = os.path.normcase(resolved)
        return resolved.casefold() if sys.platform == "darwin" else resolved


def _problems(jobs: dict[tuple[str, str], Job], keep: set[str]) -> list[str]:
    problems = []
    taken: dict[str, Job] = {}
    precious = {source for source, _ in jobs} | keep
    for (_, target), job in jobs.items():
        if target in precious:
            problems.append(f"{printable(job.output)} would overwrite an input file")
        first = taken.setdefault(target, job)
        if first is not job:
            both = f"{printable(first.input)} and {printable(job.input)}"
            problems.append(f"{both} would both become {printable(job.output)}")
    return problems


def _refuse(problems: list[str], naming: Naming | None) -> None:
    if not problems:
        return
    template = "{stem}" if naming is None else naming.template
    numbered = template if "{index" in template else f"{{index}}_{template}"
    lines = problems[:SHOWN_PROBLEMS]
    if len(problems) > SHOWN_PROBLEMS:
        lines.append(f"... and {len(problems) - SHOWN_PROBLEMS} more")
    raise UsageError(
        "Nothing was done:\n  "
        + "\n  ".join(lines)
        + "\nChoose another output folder with --out, or give every picture a name of its own with "
        f"--name {shell([numbered])}."
    )
