"""Tries CUDA in a process of its own before "auto" takes it, and remembers how that went.

A session may open on a GPU that cannot run it: without cuDNN, or on a generation that ONNX
Runtime's package has no code for; see :mod:`.gpu_trial`, which the process runs.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

from .nvidia import NoDriverError, driver
from .trial import place_of, remembered, tried_and_remembered

COMMAND = (sys.executable, "-m", "nstbatch.runtime.devices.gpu_trial")

# A guess: CUDA loads its code in seconds, but a GPU that sleeps and a slow disk take longer.
PATIENCE_SECONDS = 120


@functools.cache
def reason_against() -> str | None:
    """Return the reason why "auto" should not take CUDA here; None if there is none.

    The answer is remembered in the cache, for this driver, this generation of GPU and this version
    of ONNX Runtime; see :func:`.openvino_probe.reason_against`.
    """
    trial = remembered(_place())
    return trial.reason if trial else try_now()


def try_now() -> str | None:
    """Try CUDA whatever is remembered, and remember the result; see :func:`reason_against`."""
    return tried_and_remembered(COMMAND, PATIENCE_SECONDS, _place()).reason


def _place() -> Path | None:
    import onnxruntime as ort

    try:
        found = driver()
    except (OSError, NoDriverError):
        return None
    return place_of("cuda", [ort.__version__, found.cuda, found.generation])
