"""The cgroups of this process, with which Linux limits what containers and services may use."""

from __future__ import annotations

from pathlib import Path

MEMBERSHIP = Path("/proc/self/cgroup")
MOUNT = Path("/sys/fs/cgroup")


def cgroup_folders(
    controller: str, membership: Path = MEMBERSHIP, mount: Path = MOUNT
) -> tuple[list[Path], list[Path]]:
    """Return the folders of this process's cgroups, of version 2 and of version 1.

    Parents are among them, since their limits apply as well. Folders may not exist.

    Args:
        controller: The controller of version 1: "cpu" or "memory".
        membership: The file that names the cgroups of this process.
        mount: The folder that they are mounted in.
    """
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return [], []
    unified: list[Path] = []
    own: list[Path] = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            unified += _lineage(mount, group) + _lineage(mount / "unified", group)
        elif controller in controllers.split(","):
            for name in {controllers, controller}:
                own += _lineage(mount / name, group)
    return unified, own


def numbers(path: Path) -> list[int]:
    """Return the numbers of a file; [] if it is absent or unreadable, or says "max"."""
    try:
        return [int(word) for word in path.read_text(encoding="utf-8").split()]
    except (OSError, ValueError):
        return []


def _lineage(mount: Path, group: str) -> list[Path]:
    """Return a group's folder and its parents up to the mount.

    Inside a container the path may be the host's, and only the mount itself can be read.
    """
    relative = Path(group.lstrip("/"))
    return [mount / relative, *(mount / parent for parent in relative.parents)]
