"""Peak memory of this process.

The peak never falls, and everything in the process shares it. That is one reason why each
contestant has its own process.
"""

from __future__ import annotations

import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_resident(status: Path = STATUS) -> int | None:
    """Largest resident memory of this process so far, in bytes; None if unknown.

    On Linux this is ``VmHWM``, since ``ru_maxrss`` starts there with the peak of the parent.
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
