"""The masks of pictures: one for all, or one for each in a folder, by its name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from nstbatch.cli.text import count
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.pictures.images import SUFFIXES
from nstbatch.runtime.storage.addresses import RemotePath

from .remote_search import pictures_at

# For a picture without a mask: the name that the error shows.
USUAL_SUFFIX = ".png"


def mask_of(picture: Path, given: Path) -> Path:
    """Return the mask of a picture.

    Args:
        picture: The picture.
        given: The mask of all pictures, or a folder with a picture of the same name for each, of
            any format.

    Returns:
        A file; it need not exist.
    """
    if isinstance(given, RemotePath):
        return _mask_in_store(picture, given)
    if not os.path.isdir(given):  # noqa: PTH112, for long names
        return given
    named = (given / (picture.stem + suffix) for suffix in sorted(SUFFIXES))
    same = given / picture.name
    missing = given / (picture.stem + USUAL_SUFFIX)
    return next((path for path in (same, *named) if os.path.isfile(path)), missing)  # noqa: PTH113


def masks_of_styles(styles: Sequence[Path], given: Sequence[Path]) -> list[Path | None]:
    """Return the mask of each style; None for all if none is given.

    Raises:
        UsageError: There are not as many masks as styles.
    """
    if not given:
        return [None] * len(styles)
    if len(given) == 1 and _is_folder(given[0]):
        return [mask_of(style, given[0]) for style in styles]
    if len(given) != len(styles):
        raise UsageError(
            f"Give --style-mask as often as there are styles, or a folder: there are "
            f"{count(len(styles), 'style')} and {count(len(given), 'mask')}."
        )
    return list(given)


def _is_folder(given: Path) -> bool:
    if isinstance(given, RemotePath):
        return _names_in_store(given) is not None
    return os.path.isdir(given)  # noqa: PTH112, for long names


def _mask_in_store(picture: Path, given: RemotePath) -> Path:
    names = _names_in_store(given)
    if names is None:
        return given
    suffixes = sorted(SUFFIXES)
    wanted = (picture.name, *(picture.stem + suffix for suffix in suffixes))
    return given / next((name for name in wanted if name in names), picture.stem + USUAL_SUFFIX)


@cache
def _names_in_store(given: RemotePath) -> frozenset[str] | None:
    """Return the names in a folder of a store, listed once; None for the address of one mask."""
    found = pictures_at(given)
    return None if found == [given] else frozenset(each.name for each in found)
