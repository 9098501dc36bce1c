"""Reads a GPU's free and used memory from NVIDIA's driver."""

from __future__ import annotations

import subprocess
from typing import Literal

MEBIBYTE = 2**20


def gpu_memory(which: Literal["free", "used"]) -> int | None:
    """Free or used bytes of the first GPU's memory, over all processes; None without a driver.

    **Not run on a GPU yet.**
    """
    query = ["nvidia-smi", f"--query-gpu=memory.{which}", "--format=csv,noheader,nounits"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30)
        return int(found.stdout.split()[0]) * MEBIBYTE
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
