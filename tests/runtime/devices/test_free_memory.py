"""What is free is what Linux has available, within the limits of the cgroups."""

import sys

import pytest

from nstbatch.runtime.devices.free_memory import free_memory

GIB = 2**30


@pytest.fixture
def system(tmp_path):
    """Write the files of a system; returns the arguments of free_memory."""

    def make(cgroup: str, files: dict[str, str]):
        (tmp_path / "meminfo").write_text(
            f"MemTotal: 33554432 kB\nMemFree: 1 kB\nMemAvailable: {8 * 2**20} kB\n"
        )
        (tmp_path / "cgroup").write_text(cgroup)
        for name, text in files.items():
            path = tmp_path / "mount" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "meminfo", tmp_path / "cgroup", tmp_path / "mount"

    return make


@pytest.mark.parametrize(
    ("cgroup", "files", "free"),
    [
        ("", {}, 8),
        ("0::/a\n", {"a/memory.max": "max\n", "a/memory.current": f"{GIB}\n"}, 8),
        ("0::/a\n", {"a/memory.max": f"{4 * GIB}\n", "a/memory.current": f"{GIB}\n"}, 3),
        (  # files that can be dropped, and the limit of a parent
            "0::/a/b\n",
            {
                "a/memory.max": f"{4 * GIB}\n",
                "a/memory.current": f"{4 * GIB}\n",
                "a/memory.stat": f"file 7\ninactive_file {2 * GIB}\n",
                "a/b/memory.max": "max\n",
                "a/b/memory.current": f"{GIB}\n",
            },
            2,
        ),
        (  # version 1
            "9:memory:/a\n3:cpu,cpuacct:/a\n",
            {
                "memory/a/memory.limit_in_bytes": f"{2 * GIB}\n",
                "memory/a/memory.usage_in_bytes": f"{GIB}\n",
            },
            1,
        ),
        ("0::/a\n", {"a/memory.max": f"{GIB}\n", "a/memory.current": f"{2 * GIB}\n"}, 0),
    ],
)
def test_the_tightest_limit_counts(system, cgroup, files, free):
    assert free_memory(*system(cgroup, files)) == free * GIB


def test_other_systems_tell_nothing(tmp_path):
    assert free_memory(*(tmp_path / name for name in "abc")) is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_this_system_tells():
    assert (free_memory() or 0) > 2**20
