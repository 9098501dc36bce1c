"""How much memory a process has taken at most, and how much of a GPU's is taken.

The peak of a process never falls, and everything in the process shares it. That is one reason why
each contestant has a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_resident(status: Path = STATUS) -> int | None:
    """The most that this process has held in memory, in bytes; None where that is not known.

    On Linux ``VmHWM``, since ``ru_maxrss`` begins with the peak of the parent there.
    """
    try:
        lines = status.read_text(encoding="utf-8").splitlines()
    except OSError:
        return _max_resident()
    kilobytes = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    return kilobytes[0] * 1024 if kilobytes else None


def _max_resident() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS alone counts in bytes


def used_on_gpu() -> int | None:
    """What is taken of the first GPU's memory, by everybody, in bytes; None without a driver.

    ONNX Runtime and PyTorch keep what they once took, so a difference of two of these is the peak
    of whoever was alone in between. **Not run on a GPU yet.**
    """
    query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30)
        return int(found.stdout.split()[0]) * 2**20
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
