"""The memory that this process may still take."""

from __future__ import annotations

from pathlib import Path

from .cgroups import MEMBERSHIP, MOUNT, cgroup_folders, numbers

MEMINFO = Path("/proc/meminfo")
KIBIBYTE = 1024


def free_memory(
    meminfo: Path = MEMINFO, membership: Path = MEMBERSHIP, mount: Path = MOUNT
) -> int | None:
    """Return the bytes that are free for this process; None if the system does not tell (no Linux).

    They are what Linux calls available, without swap, and no more than the cgroups leave.
    """
    unified, own = cgroup_folders("memory", membership, mount)
    left = [
        _available(meminfo),
        *(_left(folder, "memory.max", "memory.current", "inactive_file") for folder in unified),
        *(
            _left(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            for folder in own
        ),
    ]
    return min((each for each in left if each is not None), default=None)


def _available(meminfo: Path) -> int | None:
    kibibytes = _field(meminfo, "MemAvailable:")
    return None if kibibytes is None else kibibytes * KIBIBYTE


def _left(folder: Path, limit_name: str, usage_name: str, cache_name: str) -> int | None:
    """Return what a cgroup leaves: files in its memory that nobody uses give way."""
    limit, usage = numbers(folder / limit_name), numbers(folder / usage_name)
    if not limit or not usage:
        return None
    cache = _field(folder / "memory.stat", cache_name) or 0
    return max(0, limit[0] - usage[0] + cache)


def _field(path: Path, name: str) -> int | None:
    """Return the number behind a name at the start of a line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    found = (line.split() for line in lines if line.startswith(name))
    return next((int(words[1]) for words in found if words[0] == name and words[1].isdigit()), None)
