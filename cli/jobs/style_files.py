"""The files of ``--style``: pictures, and those in folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from nstbatch.cli.text import printable
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.pictures.images import SUFFIXES
from nstbatch.runtime.storage.addresses import RemotePath

from .remote_search import pictures_at
from .weighted import weighted_path


def style_files(given: Sequence[str | os.PathLike[str]]) -> list[tuple[Path, float]]:
    """Return the files and weights of styles; a folder stands for the pictures in it.

    Args:
        given: The values of ``--style``, such as "monet.jpg=2".

    Raises:
        UsageError: A weight is not above 0, or a folder has no picture or cannot be read.
    """
    return [found for text in given for found in _at(*weighted_path(text))]


def _at(path: Path, weight: float) -> Iterator[tuple[Path, float]]:
    if not 0 < weight < float("inf"):  # also false for NaN
        raise UsageError(f"The weight of {printable(path)} must be above 0, not {weight:g}.")
    if isinstance(path, RemotePath):
        yield from ((picture, weight) for picture in pictures_at(path))
        return
    if not os.path.isdir(path):  # noqa: PTH112, for long names
        yield path, weight
        return
    try:
        names = sorted(os.listdir(path))  # noqa: PTH208, for the names as they are
    except OSError as error:
        raise UsageError(f"{printable(path)} cannot be read: {error.strerror}.") from error
    pictures = [
        path / name
        for name in names
        if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
    ]
    if not pictures:
        raise UsageError(f"There is no picture in {printable(path)}.")
    yield from ((picture, weight) for picture in pictures)
