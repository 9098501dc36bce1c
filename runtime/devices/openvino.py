"""OpenVINO's own package: imported without its reports, and its properties.

OpenVINO runs step graphs without ONNX Runtime, on processors of all makers. Its Python package
reports every import to Google Analytics (``openvino.tools.ovc``, 2026.4), unless the package
``openvino_telemetry`` is missing.
"""

from __future__ import annotations

import functools
import importlib
import sys
import threading
from typing import Any

REPORTER = "openvino_telemetry"
"""The package that sends OpenVINO's reports."""

_importing = threading.Lock()


@functools.cache
def openvino() -> Any:
    """Import OpenVINO, so that it reports nothing.

    A program that has imported it before has also decided about its reports.

    Raises:
        ImportError: It is not installed, or does not load.
    """
    with _importing:
        if "openvino" in sys.modules or REPORTER in sys.modules:
            return importlib.import_module("openvino")
        sys.modules[REPORTER] = None  # type: ignore[assignment]  # to Python, it is not installed
        try:
            return importlib.import_module("openvino")
        finally:
            del sys.modules[REPORTER]


def is_reporting() -> bool:
    """Return True if OpenVINO's reporter is loaded: another program has imported it."""
    return sys.modules.get(REPORTER) is not None


@functools.cache
def core() -> Any:
    """Return OpenVINO's core, which reads and compiles graphs; one for the process."""
    return openvino().Core()


def properties(precision: str, threads: int) -> dict[str, Any]:
    """Return the properties of a compiled graph.

    Args:
        precision: "fp32" or "bf16". Without this property OpenVINO chooses, and does not say.
        threads: Number of threads that compute a pass.
    """
    return {
        "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
