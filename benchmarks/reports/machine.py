"""Describes the machine of a report, so that two reports can be compared."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from nstbatch.runtime.devices.processor import available_cores, has_bf16, processor_name

PACKAGES = (
    "nstbatch",
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-openvino",
    "openvino",
    "torch",
)

# Fields that describe the machine itself; the others may differ before and after a change.
HARDWARE = ("processor", "cores", "bf16", "gpu", "system", "threads")

# Share of the cores above which the machine counts as busy, averaged over a minute. A guess.
BUSY = 0.3


def describe_machine(threads: int) -> dict[str, object]:
    """The machine, its software and its load; all values can be written as JSON."""
    return {
        "processor": processor_name() or "unknown",
        "cores": available_cores(),
        "bf16": has_bf16(),
        "memory_bytes": _memory(),
        "gpu": _gpu(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": threads,
        "load": _load(),
        "python": platform.python_version(),
        "packages": dict(_packages()),
    }


def is_busy(machine: Mapping[str, object]) -> bool:
    """True if something else was running when the benchmark began."""
    load, cores = machine["load"], machine["cores"]
    return isinstance(load, float) and isinstance(cores, int) and load > BUSY * cores


def differences(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """The differences between two machines, one line each; empty if it may be one machine."""
    return [
        f"{name}: {before.get(name)} and {after.get(name)}"
        for name in HARDWARE
        if before.get(name) != after.get(name)
    ]


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows; a system without these names
        return None


def _gpu() -> str | None:
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.partition("\n")[0].strip() or None


def _load() -> float | None:
    """Number of running processes, averaged over the last minute."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _packages() -> list[tuple[str, str]]:
    found = []
    for package in PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return found
