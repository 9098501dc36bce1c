"""What a picture of some size takes: memory as a whole, in tiles and with files, and time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nstbatch.cli.text import columns, duration, gigabytes
from nstbatch.runtime.errors import UsageError

from .dry_run import step_seconds

if TYPE_CHECKING:
    from nstbatch.runtime.systems.style_transfer import StyleTransfer

# More pixels on a side than any picture file may have (JPEG: 65535).
MOST = 100_000


def parse_size(text: str) -> tuple[int, int]:
    """Return the height and width of a size such as 8000x6000, which names the width first.

    Raises:
        UsageError: It is no size.
    """
    match = re.fullmatch(r"(\d+)x(\d+)", text.strip().lower())
    width, height = map(int, match.groups()) if match else (0, 0)
    if not (0 < width <= MOST and 0 < height <= MOST):
        raise UsageError(f"A size is a width and a height, such as 8000x6000, not {text!r}.")
    return height, width


def size_table(size: tuple[int, int]) -> Iterator[str]:
    """Yield the lines of a table of what ``stylize`` takes on the processor, by network.

    Args:
        size: Height and width of the picture.
    """
    from nstbatch.runtime.bundles.bundle import installed
    from nstbatch.runtime.devices.free_memory import free_memory
    from nstbatch.runtime.errors import NstbatchError
    from nstbatch.runtime.needs.tile_choice import LARGE_TILE
    from nstbatch.runtime.systems.style_transfer import StyleTransfer

    height, width = size
    free = free_memory()
    known = "" if free is None else f"; {gigabytes(free)} are free"
    yield f"A picture of {width}x{height} pixels, --optimizer adam, on the CPU{known}"
    rows = [["network", "whole", f"tiles of {LARGE_TILE}", "with files", "a step, roughly"]]
    for name in installed():
        try:
            transfer = StyleTransfer(name, device="cpu")
            step = duration(step_seconds(name) * height * width / 1e6)
            rows.append([name, *_needs(transfer, size), step])
        except NstbatchError:  # the section on models says what is wrong with it
            continue
    yield from (f"  {line}" for line in columns(rows))


def _needs(transfer: StyleTransfer, size: tuple[int, int]) -> list[str]:
    """Return the memory as a whole, in tiles, and in tiles with files, in words."""
    from nstbatch.runtime import scratch
    from nstbatch.runtime.needs.tile_choice import LARGE_TILE
    from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions

    options = StyleTransferOptions(optimizer="adam")
    needs: list[int] = []
    for side, folder in ((None, None), (LARGE_TILE, None), (LARGE_TILE, Path())):
        transfer.engine.tile_size = side
        scratch.keep_in(folder)
        needs.append(transfer.peak_memory(options, size) or 0)
    scratch.keep_in(None)
    return list(map(gigabytes, needs))
