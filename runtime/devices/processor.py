"""The processor: number of cores that this process may use, and support for bf16."""

from __future__ import annotations

import functools
import logging
import os
import platform
from pathlib import Path

from nstbatch.runtime.checks import at_least

from .cgroups import MEMBERSHIP, MOUNT, cgroup_folders, numbers

# Linux's names for the instruction sets that multiply bfloat16 (x86: AMX and AVX-512 BF16).
BF16_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})

CPUINFO = Path("/proc/cpuinfo")

log = logging.getLogger(__name__)


def available_cores() -> int:
    """Return the number of cores this process may use: its affinity, limited by the cgroup's quota.

    A quota that is no whole number is rounded down, as in Rust's ``available_parallelism``: with
    one thread too many, all threads wait for the next period.
    """
    quota = _cgroup_quota()
    cores = _affinity()
    return cores if quota is None else max(1, min(cores, int(quota)))


def threads_within(cores: int, threads: int | None) -> int:
    """Return the number of threads to use; a warning says once that it is lower than requested.

    More threads than cores wait for each other: 64 threads on 2 cores took 70 times as long as 2.

    Args:
        cores: Number of cores this process may use, and the most threads.
        threads: Requested number; None for one thread per core.

    Raises:
        UsageError: The requested number is below 1.
    """
    if threads is None:
        return cores
    at_least("number of threads", threads, 1)
    if threads > cores:
        _warn_of_fewer(threads, cores)
    return min(threads, cores)


@functools.cache
def _warn_of_fewer(threads: int, cores: int) -> None:
    log.warning("Using %d threads, not %d: this process may use no more cores.", cores, threads)


def processor_flags(cpuinfo: Path = CPUINFO) -> frozenset[str] | None:
    """Return the instruction sets that the kernel lists; None if it lists none (not Linux)."""
    flags = _of_processor("flags", cpuinfo)
    return None if flags is None else frozenset(flags.split())


def processor_name(cpuinfo: Path = CPUINFO) -> str:
    """Return the processor's model, as its maker calls it; what Python knows of it elsewhere."""
    return _of_processor("model name", cpuinfo) or platform.processor()


def _of_processor(wanted: str, cpuinfo: Path) -> str | None:
    """Return what the kernel says of the first processor; None if it says nothing."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == wanted:
            return value.strip()
    return None


def has_bf16() -> bool | None:
    """Return True if the processor multiplies bf16; None if that is unknown."""
    flags = processor_flags()
    return None if flags is None else bool(flags & BF16_FLAGS)


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cgroup_quota(membership: Path = MEMBERSHIP, mount: Path = MOUNT) -> float | None:
    """Return the smallest quota, in cores, of this process's cgroups; None without a quota."""
    unified, own = cgroup_folders("cpu", membership, mount)
    quotas = [*map(_quota_v2, unified), *map(_quota_v1, own)]
    return min((quota for quota in quotas if quota is not None), default=None)


def _quota_v2(folder: Path) -> float | None:
    """Read ``cpu.max``: "max 100000" or "150000 100000", quota and period in microseconds."""
    return _share(numbers(folder / "cpu.max"))


def _quota_v1(folder: Path) -> float | None:
    """Read ``cpu.cfs_quota_us`` (-1 for none) divided by ``cpu.cfs_period_us``."""
    return _share(numbers(folder / "cpu.cfs_quota_us") + numbers(folder / "cpu.cfs_period_us"))


def _share(parts: list[int]) -> float | None:
    return parts[0] / parts[1] if len(parts) == 2 and min(parts) > 0 else None
