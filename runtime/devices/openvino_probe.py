"""Tries OpenVINO in a process of its own before "auto" takes it, and remembers how that went.

OpenVINO has crashed on some processors, and computed wrongly on others; see
``nstbatch.runtime.engine.openvino_trial``, which the process runs.
"""

from __future__ import annotations

import functools
import platform
import sys
from pathlib import Path

from .openvino import openvino
from .processor import processor_flags, processor_name
from .trial import place_of, remembered_or, tried_and_remembered

COMMAND = (sys.executable, "-m", "nstbatch.runtime.engine.openvino_trial")

# Two seconds on two idle cores. A guess for a machine with much else to do.
PATIENCE_SECONDS = 60


@functools.cache
def reason_against() -> str | None:
    """Return the reason why "auto" should not take OpenVINO here; None if there is none.

    The first call on a machine takes two seconds. The answer is remembered in the cache, for this
    processor, this version of OpenVINO and this kernel; without a cache, for this process. A trial
    that failed for want of memory or the like is remembered for this process only. One that does
    not end is remembered, since it costs a minute.
    """
    return remembered_or(try_now, _place())


def try_now() -> str | None:
    """Try OpenVINO whatever is remembered, and remember the result; see :func:`reason_against`."""
    return tried_and_remembered(COMMAND, PATIENCE_SECONDS, _place())


def _place() -> Path | None:
    about = [platform.platform(), processor_name(), sorted(processor_flags() or ())]
    return place_of("openvino", [openvino().__version__, *about])
