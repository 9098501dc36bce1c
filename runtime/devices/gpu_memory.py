"""Reads the free and used memory of a GPU from NVIDIA's driver."""

from __future__ import annotations

import subprocess
from typing import Literal

from .nvidia import identity

MEBIBYTE = 2**20


def gpu_memory(which: Literal["free", "used"], gpu: int = 0) -> int | None:
    """Free or used bytes of a GPU's memory, over all processes; None without a driver.

    CUDA and NVIDIA's tool may count GPUs in different orders, so the tool is told which one by its
    identity. **Not run on a GPU yet.**

    Args:
        which: "free" or "used".
        gpu: Number of the GPU, as CUDA counts them.
    """
    query = ["nvidia-smi", f"--query-gpu=memory.{which}", "--format=csv,noheader,nounits"]
    if (known := identity(gpu)) is not None:
        query.append(f"--id={known}")
    try:
        found = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30)
        return int(found.stdout.split()[0]) * MEBIBYTE
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
