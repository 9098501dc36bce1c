"""Warns before a batch that needs more memory than there is."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from nstbatch.cli.text import gigabytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nstbatch.cli.jobs.effort import Effort


def memory_warning(effort: Effort, photos: Sequence[Path]) -> str | None:
    """Return a sentence if the largest picture is not likely to fit into the free memory.

    Args:
        effort: The work for the pictures.
        photos: The photos of those that are to be painted, at least one.
    """
    from nstbatch.runtime.devices.free_memory import free_memory

    height, width = max(effort.shapes(photos), key=math.prod)
    needed, free = effort.memory((height, width), len(photos)), free_memory()
    if needed is None or free is None or needed <= free:
        return None
    return (
        f"A picture of {width}x{height} pixels will need about {gigabytes(needed)} of memory, and "
        f"{gigabytes(free)} are free. A smaller --size, --max-size, or --batch 1 needs less."
    )
