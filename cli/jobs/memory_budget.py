"""The memory that a batch may take, and what is done to stay within it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, prod
from pathlib import Path
from typing import TYPE_CHECKING

from nstbatch.cli.text import gigabytes, printable
from nstbatch.runtime.errors import UsageError

from .effort import Effort, Shape

if TYPE_CHECKING:
    from nstbatch.runtime.engine.engine import Engine

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)
_POWERS = ("", "k", "m", "g", "t")


def parse_bytes(text: str) -> int:
    """Return the bytes of a size such as 2GB, 1.5GiB or 800M: powers of 1000, with an i of 1024.

    Raises:
        UsageError: It is no such size, or 0.
    """
    match = _SIZE.fullmatch(text.strip())
    number, unit, binary = match.groups() if match else ("0", "", "")
    size = float(number) * (1024 if binary else 1000) ** _POWERS.index(unit.lower())
    if size < 1:
        raise UsageError(f"A size of memory is a number and a unit, such as 2GB, not {text!r}.")
    return int(size)


@dataclass(frozen=True)
class MemoryBudget:
    """How much memory the pictures of a batch may take.

    Attributes:
        limit: In bytes; None for what is free.
        tile_size: Side of the tiles that the user chose, in pixels; None to choose it.
        has_tiles: False if the pictures can only be computed as a whole.
    """

    limit: int | None = None
    tile_size: int | None = None
    has_tiles: bool = True

    def fit(
        self,
        engine: Engine | None,
        effort: Effort,
        photos: Sequence[Path],
        folder: Path,
        processes: int = 1,
    ) -> str | None:
        """Choose the tiles of an engine, and return a sentence about it; None if all is well.

        A picture that is too large even in tiles has its arrays in files on disk. Where no photo
        tells its size, tiles are chosen for a typical one, and nothing is said or refused.

        Args:
            engine: Computes the pictures; None if there is none that has tiles.
            effort: The work for the pictures.
            photos: The photos of those that are to be painted, at least one.
            folder: The folder of the pictures, whose disk may hold arrays.
            processes: Number of processes that share the memory; the tiles are those of one.

        Raises:
            UsageError: The limit is too small for any tile, or the disk too small.
        """
        try:
            said = self._choose(engine, effort, photos, folder, processes)
        except UsageError:
            if effort.is_guessed(photos):
                return None
            raise
        return None if said and effort.is_guessed(photos) else said

    def _choose(
        self,
        engine: Engine | None,
        effort: Effort,
        photos: Sequence[Path],
        folder: Path,
        processes: int,
    ) -> str | None:
        from nstbatch.runtime import scratch
        from nstbatch.runtime.devices.free_memory import free_memory
        from nstbatch.runtime.devices.gpu_memory import gpu_memory

        scratch.keep_in(None)
        gpu = engine.provider.gpu if engine and engine.provider.memory == "cuda" else None
        sharing = processes if gpu is None else 1  # each process on a GPU has its own
        free = free_memory() if gpu is None else gpu_memory("free", gpu)
        limit = self.limit or free
        pictures = -(-len(photos) // processes)
        height, width = max(effort.shapes(photos), key=prod)
        needed = effort.memory((height, width), pictures)
        if needed is None or limit is None or needed <= limit // sharing:
            return None
        limit //= sharing
        if engine is not None and gpu is None and self.has_tiles and self.tile_size is None:
            return self._in_tiles(engine, effort, (height, width), pictures, limit, folder)
        memory = "memory" if gpu is None else "GPU memory"
        has = "may be taken" if self.limit else "are free"
        shared = " for each process" if sharing > 1 else ""
        said = (
            f"A picture of {width}x{height} pixels will need about {gigabytes(needed, ceil)} of "
            f"{memory}, and {gigabytes(limit, floor)} {has}{shared}."
        )
        if self.limit:
            raise UsageError(said)
        fewer = "Fewer --jobs, or a" if sharing > 1 else "A"
        return f"{said} {fewer} smaller --size, --max-size, or --batch 1 needs less."

    def _in_tiles(
        self,
        engine: Engine,
        effort: Effort,
        shape: tuple[int, int],
        pictures: int,
        limit: int,
        folder: Path,
    ) -> str:
        from nstbatch.runtime import scratch
        from nstbatch.runtime.needs.tile_choice import choose_tile

        def peak(side: int | None) -> int:
            engine.tile_size = side
            return effort.memory(shape, pictures) or 0

        whole = peak(None)
        chosen, where = choose_tile(peak, limit, max(shape)), ""
        if not chosen.fits:
            in_memory = chosen
            scratch.keep_in(folder)
            chosen = choose_tile(peak, limit, max(shape))
            files = in_memory.peak - peak(in_memory.side)
            _check_disk(files, shape, folder)
            where = f", with up to {gigabytes(files)} of files"
        engine.tile_size = chosen.side
        picture = f"A picture of {shape[1]}x{shape[0]} pixels"
        if chosen.fits:
            return (
                f"{picture} would need about {gigabytes(whole)} of memory at once, so it is "
                f"computed in tiles of {chosen.side} pixels, in about {gigabytes(chosen.peak)}"
                f"{where}."
            )
        least = f"{picture} needs at least {gigabytes(chosen.peak, ceil)} of memory"
        in_tiles = f"{least}, in tiles of {chosen.side} pixels"
        if self.limit:
            raise UsageError(f"{in_tiles}; --memory allows {gigabytes(limit, floor)}.")
        return f"{in_tiles}, and {gigabytes(limit, floor)} are free. A smaller --size needs less."


def _check_disk(needed: int, shape: Shape, folder: Path) -> None:
    """Raise a UsageError if the disk is too small for the files of a picture."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.is_dir())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise UsageError(
            f"A picture of {shape[1]}x{shape[0]} pixels needs {gigabytes(needed, ceil)} on the "
            f"disk of {printable(folder)}, and {gigabytes(free, floor)} are free."
        )


ONLY_WHOLE = MemoryBudget(has_tiles=False)
"""What is free, for pictures that can only be computed as a whole."""
