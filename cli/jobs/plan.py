"""The plan of a batch: the picture that each photo becomes, decided before the first step.

The plan refuses everything that would destroy a file: two photos that would become one picture, or
a picture that would overwrite a photo.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from nstbatch.cli.text import printable, shell
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.pictures.images import SUFFIXES, WRITABLE_SUFFIXES
from nstbatch.runtime.storage.addresses import RemotePath

from .identities import Identities
from .left_out import LeftOut
from .naming import NameTooLongError, Naming, check_length
from .parameters import Setting
from .search import Search, Unreadable

# For photos of a format that cannot be written: PNG is lossless, and every program opens it.
FALLBACK_SUFFIX = ".png"

SHOWN_PROBLEMS = 5

# S3 and Azure: 1024 bytes, of which the name of the picture's record takes 26 for itself.
MAX_KEY_BYTES = 996

_FILE_HINT = "Choose another name with --out."

# A photo, its picture, and the number of the variation.
_Key: TypeAlias = tuple[str, str, int]


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
        stored_in: The file that holds a photo from standard input, whose ``input`` is "-".
        sources: The pictures that this one alone is made with, by the names of their options.
    """

    input: Path
    output: Path
    variation: int = 0
    source: Source = Source.PHOTO
    digest: str = ""
    details: Mapping[str, object] = field(default_factory=dict, compare=False)
    settings: Mapping[str, Setting] = field(default_factory=dict, compare=False)
    checkpoint: Path | None = field(default=None, compare=False)
    stored_in: Path | None = field(default=None, compare=False)
    sources: Mapping[str, Path] = field(default_factory=dict, compare=False)

    @property
    def photo(self) -> Path | None:
        """The file of the photo, if there is one."""
        return (self.stored_in or self.input) if self.source is Source.PHOTO else None

    @property
    def file(self) -> Path:
        """The file of the photo; for painters of photos, who have one."""
        return self.stored_in or self.input

    @property
    def name(self) -> str:
        """A short name for people: the photo's without its folder, or the word."""
        return self.input.name if self.source is Source.PHOTO else os.fspath(self.input)


@dataclass(frozen=True)
class Plan:
    """The jobs of a batch in their order, and the folders and photos that fail without a try.

    ``others`` are the jobs of the same command that a call is not for, such as one of retry.
    """

    jobs: tuple[Job, ...]
    unreadable: tuple[Unreadable, ...] = ()
    left_out: LeftOut = field(default_factory=LeftOut, compare=False)
    others: tuple[Job, ...] = field(default=(), compare=False)


def make_plan(
    search: Search,
    out: Path,
    *,
    alone: bool = False,
    settings: Mapping[str, Setting] | None = None,
    keep: Sequence[Path] = (),
    suffix: str | None = None,
    variations: int = 1,
    naming: Naming | None = None,
) -> Plan:
    """Find the photos, and decide the picture that each one becomes.

    A file becomes ``out/NAME``; the photos in a folder become ``out/PATH``, their path within that
    folder. A picture keeps its photo's suffix, or gets .png if that format cannot be written.

    Args:
        search: Where the photos are looked for.
        out: The folder for the pictures, or the one picture.
        alone: True if ``out`` is the one picture.
        settings: See :class:`Job`.
        keep: Further files that no picture may overwrite.
        suffix: Suffix of all pictures; by default that of each photo.
        variations: Number of pictures for each photo; several are named NAME-1, NAME-2, ...
        naming: Names of the pictures; by default those of the photos.

    Raises:
        UsageError: An input does not exist, two photos would become one picture, a picture would
            overwrite a photo or a file in ``keep``, or several would become the one picture.
    """
    identity, left_out = Identities(), LeftOut()
    jobs: dict[_Key, Job] = {}  # in order; a photo named twice counts once
    unreadable: dict[tuple[str, int], Unreadable] = {}
    photos: dict[str, int] = {}  # the number of photos before each
    for found in search.run(out, identity, left_out):
        if isinstance(found, Unreadable):
            unreadable[identity(found.path), 0] = found
            continue
        path = out if alone else _picture_path(out / found.place, suffix)
        source = identity(found.path)
        index = photos.setdefault(source, len(photos))
        for variation in range(variations):
            try:
                output = path if alone else _named(path, index, variation, variations, naming)
                _check_key(output)
            except NameTooLongError as error:
                unreadable[source, variation] = Unreadable(found.path, str(error))
                continue
            job = Job(
                found.path, output, variation, settings=settings or {}, stored_in=found.stored_in
            )
            jobs.setdefault((source, identity(output), variation), job)
    left_out.results += _results_in_the_way(jobs, search, identity)
    if alone:
        check_alone(out, len(jobs) + len(unreadable))
    problems = _problems(jobs, {identity(path) for path in keep})
    _refuse(problems, _FILE_HINT if alone else _folder_hint(naming))
    return Plan(tuple(jobs.values()), tuple(unreadable.values()), left_out)


def check_alone(out: Path, pictures: int) -> None:
    """Raise a UsageError if several pictures would become the one picture."""
    if pictures > 1:
        raise UsageError(
            f"{printable(out)} is the name of one picture, and there are {pictures} to make. "
            "Give --out a folder."
        )


def find_images(search: Search, out: Path) -> tuple[list[Path], list[Unreadable], LeftOut]:
    """Find the images for results that are made from all of them, and the unreadable folders.

    Args:
        search: Where the images are looked for.
        out: The folder for the results.

    Raises:
        UsageError: An input does not exist.
    """
    identity, left_out = Identities(), LeftOut()
    images: dict[str, Path] = {}  # in order; a photo named twice counts once
    unreadable = []
    for found in search.run(out, identity, left_out):
        if isinstance(found, Unreadable):
            unreadable.append(found)
        else:
            images.setdefault(identity(found.path), found.path)
    return list(images.values()), unreadable, left_out


def refuse_overwriting(pictures: Iterable[Path], images: Iterable[Path]) -> None:
    """Raise a UsageError if a picture would overwrite one of the images that it is made from."""
    identity = Identities()
    precious = {identity(path) for path in images}
    problems = [_overwriting(path) for path in pictures if identity(path) in precious]
    _refuse(problems, _folder_hint(None))


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


def _check_key(path: Path) -> None:
    """Raise a NameTooLongError for a picture in a store that no object can be named after."""
    if isinstance(path, RemotePath) and len(os.fsencode(path.key)) > MAX_KEY_BYTES:
        raise NameTooLongError(path.key)


def _results_in_the_way(jobs: dict[_Key, Job], search: Search, identity: Identities) -> list[Path]:
    """Remove the jobs for results that other jobs would overwrite, and return the results.

    A shell that reads ``*.jpg`` again names them, when they lie beside their photos.
    """
    makers: dict[str, set[str]] = {}
    for source, target, _ in jobs:
        makers.setdefault(target, set()).add(source)
    removed: dict[str, Path] = {}
    for key, job in list(jobs.items()):
        source = key[0]
        others = makers.get(source, set()) - {source}
        if others and search.is_result(identity.resolved(job.input)):
            removed[source] = job.input
            del jobs[key]
    return list(removed.values())


def _problems(jobs: dict[_Key, Job], keep: set[str]) -> list[str]:
    problems = []
    taken: dict[str, Job] = {}
    precious = {source for source, _, _ in jobs} | keep
    for (_, target, _), job in jobs.items():
        if target in precious:
            problems.append(_overwriting(job.output))
        first = taken.setdefault(target, job)
        if first is not job:
            both = f"{printable(first.input)} and {printable(job.input)}"
            problems.append(f"{both} would both become {printable(job.output)}")
    return problems


def _overwriting(picture: Path) -> str:
    return f"{printable(picture)} would overwrite an input file"


def _refuse(problems: list[str], hint: str) -> None:
    if not problems:
        return
    lines = problems[:SHOWN_PROBLEMS]
    if len(problems) > SHOWN_PROBLEMS:
        lines.append(f"... and {len(problems) - SHOWN_PROBLEMS} more")
    raise UsageError("Nothing was done:\n  " + "\n  ".join(lines) + f"\n{hint}")


def _folder_hint(naming: Naming | None) -> str:
    template = "{stem}" if naming is None else naming.template
    numbered = template if "{index" in template else f"{{index}}_{template}"
    return (
        "Choose another output folder with --out, or give every picture a name of its own with "
        f"--name {shell([numbered])}."
    )
