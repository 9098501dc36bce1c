"""The cores of this process, divided among several processes."""

from __future__ import annotations

import os
import sys
from itertools import pairwise
from pathlib import Path

from .cgroups import numbers

TOPOLOGY = Path("/sys/devices/system/cpu")


def divided_cores(parts: int, topology: Path = TOPOLOGY) -> list[frozenset[int]]:
    """Divide the cores that this process may use into parts of equal size, as near as may be.

    Neighbours stay together: the threads of one core, and the cores of one socket, whose memory is
    nearer to them.

    Args:
        parts: Number of parts; at most one for each core.
        topology: Where Linux describes the cores.

    Returns:
        The numbers of the cores of each part; [] where a process cannot choose its cores.
    """
    if sys.platform != "linux":
        return []
    cores = sorted(os.sched_getaffinity(0), key=lambda core: (*_place(core, topology), core))
    ends = [len(cores) * number // parts for number in range(parts + 1)]
    return [frozenset(cores[begin:end]) for begin, end in pairwise(ends)]


def _place(core: int, topology: Path) -> tuple[int, int]:
    """Return the numbers of a core's socket and of its physical core within that; 0 if unknown."""
    folder = topology / f"cpu{core}" / "topology"
    found = [numbers(folder / name) for name in ("physical_package_id", "core_id")]
    socket, physical = (each[0] if each else 0 for each in found)
    return socket, physical
