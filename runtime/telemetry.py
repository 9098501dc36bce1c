"""Switches off the reports that ONNX Runtime sends to Microsoft.

From 1.29 on, ONNX Runtime's packages for Linux and macOS report by default: a lasting device id and
a database of events in the user's cache folder, and uploads during every longer run
(microsoft/onnxruntime#27379 and #29843). ONNX Runtime reads the variable once, when it is imported.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import MutableMapping
from dataclasses import dataclass

# ONNX Runtime 1.32 reads the first one; the second one is that of some other versions.
VARIABLES = ("ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED")

# Values that switch the reports off, in capital letters too; tried with ONNX Runtime 1.32.
YES = frozenset({"1", "on", "true", "y", "yes"})

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Telemetry:
    """The state of ONNX Runtime's reports in this process.

    Attributes:
        is_off: True if nothing is reported.
        reason: The setting or the program that decided, as the end of a sentence.
    """

    is_off: bool
    reason: str


@functools.cache
def switch_off() -> Telemetry:
    """Switch the reports off, unless the user has chosen otherwise; return their state.

    The first call decides, and must come before ONNX Runtime is imported: ``nstbatch/__init__.py``
    makes it. Worker processes inherit the variables.
    """
    return decide(os.environ, is_loaded="onnxruntime" in sys.modules)


def decide(environment: MutableMapping[str, str], *, is_loaded: bool) -> Telemetry:
    """Set the variables that the user has left open.

    A user who has set one variable to yes wants no reports, so the other one is set too: each
    version of ONNX Runtime reads only one of them. A user who has set one to no wants the reports,
    and nothing is set.

    Args:
        environment: The environment variables; changed.
        is_loaded: True if ONNX Runtime has been imported, so that a change comes too late.
    """
    chosen = next((name for name in VARIABLES if name in environment), None)
    was_off = _is_yes(environment.get(VARIABLES[0], ""))
    reason = f"by nstbatch; {VARIABLES[0]}=0 would switch them on"
    if chosen is not None:
        reason = f"by ${chosen}={environment[chosen]}"
        if not _is_yes(environment[chosen]):
            return Telemetry(False, reason)
    for name in VARIABLES:
        environment.setdefault(name, "1")
    if is_loaded and not was_off:
        log.warning(
            "ONNX Runtime reports to Microsoft, because it was imported before nstbatch. "
            "Import nstbatch first, or set %s=1.",
            VARIABLES[0],
        )
        return Telemetry(False, "because onnxruntime was imported before nstbatch")
    return Telemetry(True, reason)


def _is_yes(value: str) -> bool:
    return value.strip().lower() in YES
