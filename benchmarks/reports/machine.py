"""Which machine it was: what has to be the same for two reports to be comparable."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from nstbatch.runtime.devices.processor import available_cores, has_bf16

CPUINFO = Path("/proc/cpuinfo")

PACKAGES = (
    "nstbatch",
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-openvino",
    "onnxruntime-ep-openvino",
    "torch",
)

# What is not part of the machine may differ between a report before a change and one after it.
HARDWARE = ("processor", "cores", "bf16", "gpu", "system", "threads")

# Of the cores: more than that was busy on average in the minute before. A guess.
BUSY = 0.3


def describe_machine(threads: int) -> dict[str, object]:
    """What a report says of its machine; all of it can be written as JSON."""
    return {
        "processor": _processor(),
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
    """Whether something else was running when the benchmark began."""
    load, cores = machine["load"], machine["cores"]
    return isinstance(load, float) and isinstance(cores, int) and load > BUSY * cores


def differences(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """In what two machines differ, one line each; none if it may well be one machine."""
    return [
        f"{name}: {before.get(name)} and {after.get(name)}"
        for name in HARDWARE
        if before.get(name) != after.get(name)
    ]


def _processor(cpuinfo: Path = CPUINFO) -> str:
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or "unknown"


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
    """How many processes were running, on average over the last minute."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _packages() -> list[tuple[str, str]]:
    found = []
    for package in PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return found
