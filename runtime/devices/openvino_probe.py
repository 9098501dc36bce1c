"""Tries OpenVINO in a process of its own before "auto" takes it, and remembers how that went.

OpenVINO has crashed on some processors, computed wrongly on others, and is slower in bf16 than in
fp32 on some that have bf16; see ``nstbatch.runtime.engine.openvino_trial``, which the process runs.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from .openvino import openvino
from .processor import processor_flags, processor_name
from .trial import Trial, place_of, remembered, tried_and_remembered

COMMAND = (sys.executable, "-m", "nstbatch.runtime.engine.openvino_trial")

# Two seconds on two idle cores. A guess for a machine with much else to do.
PATIENCE_SECONDS = 60

of_process: dict[Path | None, Trial] = {}
"""Trials that this process has made or read, by their files in the cache."""


def reason_against() -> str | None:
    """Return the reason why "auto" should not take OpenVINO here; None if there is none.

    The first call on a machine takes two seconds. The answer is remembered in the cache, for this
    processor, this version of OpenVINO and this kernel; without a cache, for this process. A trial
    that failed for want of memory or the like is remembered for this process only. One that does
    not end is remembered, since it costs a minute.
    """
    return _known().reason


def fastest_first(precisions: Sequence[str]) -> tuple[str, ...]:
    """Return precisions with the fastest one first, as far as the trial came to measure it."""
    fastest = _known().said
    return tuple(sorted(precisions, key=lambda precision: precision != fastest))


def try_now() -> str | None:
    """Try OpenVINO whatever is remembered, and remember the result; see :func:`reason_against`."""
    place = _place()
    trial = of_process[place] = tried_and_remembered(COMMAND, PATIENCE_SECONDS, place)
    return trial.reason


def _known() -> Trial:
    """Return the trial that is remembered, or make one."""
    place = _place()
    if place not in of_process:
        trial = remembered(place)
        if trial is None:
            try_now()
        else:
            of_process[place] = trial
    return of_process[place]


def _place() -> Path | None:
    about = [platform.platform(), processor_name(), sorted(processor_flags() or ())]
    return place_of("openvino", [openvino().__version__, *about])
