"""The pictures that earlier runs have made, told by the ledgers in their folders and above.

The name decides, not the content. A photo manager that writes stars or keywords into a folder's
files changes every picture in it; they would all become photos if their bytes counted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nstbatch.runtime.storage.addresses import is_address, located

from .claims import FOLDER, INTENT
from .ledger import NAME, NAME_ALONE
from .ledger_lines import results_of
from .remote_records import pictures_in_store

FRAMES_FROM = ".made-from"
"""Beside the frames of a film, see :mod:`nstbatch.runtime.systems.zoom`, and beside snapshots."""

_FRAME = re.compile(r"\d{6}\.\w+")
_OVERVIEW = re.compile(r"(.+)_overview(_\d+)?\.\w+")


@dataclass(frozen=True)
class _Known:
    """The pictures in the records of a folder, and the layers whose filters they show."""

    pictures: frozenset[str] = frozenset()
    layers: frozenset[str] = frozenset()


class KnownResults:
    """Tells pictures that earlier runs have made; reads each ledger once, when it is needed."""

    def __init__(self) -> None:
        self._known = cache(_read)
        self._above = cache(self._those_above)
        self._is_of_film = cache(lambda folder: Path(folder, FRAMES_FROM).is_file())

    def __call__(self, path: str) -> bool:
        """Return True if a ledger in a folder above this resolved path has it as a picture."""
        folder, name = os.path.split(path)
        if _FRAME.fullmatch(name) and self._is_of_film(folder):
            return True
        if (overview := _OVERVIEW.fullmatch(name)) and overview[1] in self._known(folder).layers:
            return True
        return any(
            path[length:].replace(os.sep, "/") in pictures
            for length, pictures in self._above(folder)
        )

    def _those_above(self, folder: str) -> list[tuple[int, frozenset[str]]]:
        """Return the pictures known to a folder and to those above, and where their names begin."""
        found, above = [], folder
        while True:
            if pictures := self._known(above).pictures:
                found.append((len(above.rstrip(os.sep)) + 1, pictures))
            before, above = above, os.path.dirname(above)  # noqa: PTH120, for its speed
            if above == before:
                return found


def _read(folder: str) -> _Known:
    if is_address(folder):
        return _Known(pictures_in_store(located(folder)))
    results = {result for data in _records(Path(folder)) for result in results_of(data)}
    return _Known(
        frozenset(picture for picture, _ in results),
        frozenset(layer.replace("/", "_") for _, layer in results if layer),
    )


def _records(folder: Path) -> Iterator[bytes]:
    """Yield the intents, and then the ledgers of a folder.

    In this order: an intent is removed after its line was added. So a picture that another process
    finishes meanwhile is in one of them.
    """
    claims = folder / FOLDER
    for path in (*claims.glob(f"*{INTENT}"), folder / NAME, folder / NAME_ALONE):
        try:
            yield path.read_bytes()
        except OSError:  # there is none, or it is not ours to read
            continue
