"""Warns before a batch that needs more memory than there is."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from nstbatch.cli.text import gigabytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nstbatch.cli.jobs.effort import Effort


def memory_warning(
    effort: Effort, photos: Sequence[Path], processes: int = 1, gpu: int | None = None
) -> str | None:
    """Return a sentence if the largest picture is not likely to fit into the free memory.

    Args:
        effort: The work for the pictures.
        photos: The photos of those that are to be painted, at least one.
        processes: Number of processes that paint at the same time.
        gpu: Number of the GPU that paints, or of one of several; None for a processor.
    """
    from nstbatch.runtime.devices.free_memory import free_memory
    from nstbatch.runtime.devices.gpu_memory import gpu_memory

    height, width = max(effort.shapes(photos), key=math.prod)
    needed = effort.memory((height, width), -(-len(photos) // processes))
    free = free_memory() if gpu is None else gpu_memory("free", gpu)
    processes = processes if gpu is None else 1  # each has a GPU of its own
    if needed is None or free is None or processes * needed <= free:
        return None
    pictures = f"{processes} pictures" if processes > 1 else "A picture"
    memory = "memory" if gpu is None else "GPU memory"
    less = "A smaller --size, --max-size, or --batch 1 needs less."
    return (
        f"{pictures} of {width}x{height} pixels will need about {gigabytes(processes * needed)} of "
        f"{memory}, and {gigabytes(free)} are free. "
        + (f"Fewer --jobs, or a{less[1:]}" if processes > 1 else less)
    )
