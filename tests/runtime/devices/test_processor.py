import os
import platform
from pathlib import Path

import pytest

from nstbatch.runtime.devices import processor
from nstbatch.runtime.errors import UsageError


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    return tmp_path / "cgroup"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def quota(tmp_path: Path, mount: Path, membership: str) -> float | None:
    write(tmp_path / "self", membership)
    return processor._cgroup_quota(tmp_path / "self", mount)


def test_quota_of_a_version_2_container(tmp_path: Path, mount: Path) -> None:
    write(mount / "cpu.max", "150000 100000\n")
    assert quota(tmp_path, mount, "0::/\n") == 1.5


def test_the_tightest_of_all_parents_binds(tmp_path: Path, mount: Path) -> None:
    write(mount / "a" / "b" / "cpu.max", "400000 100000\n")
    write(mount / "a" / "cpu.max", "200000 100000\n")
    assert quota(tmp_path, mount, "0::/a/b\n") == 2


def test_no_limit_is_no_quota(tmp_path: Path, mount: Path) -> None:
    write(mount / "cpu.max", "max 100000\n")
    assert quota(tmp_path, mount, "0::/\n") is None


@pytest.mark.parametrize("folder", ["cpu", "cpu,cpuacct"])
def test_quota_of_version_1(tmp_path: Path, mount: Path, folder: str) -> None:
    write(mount / folder / "cpu.cfs_quota_us", "300000\n")
    write(mount / folder / "cpu.cfs_period_us", "100000\n")
    # In a container the path is the host's, and the mount holds only the container's own group.
    membership = "4:memory:/docker/42\n3:cpu,cpuacct:/docker/42\n0::/\n"
    assert quota(tmp_path, mount, membership) == 3


def test_version_1_without_a_limit(tmp_path: Path, mount: Path) -> None:
    write(mount / "cpu" / "cpu.cfs_quota_us", "-1\n")
    write(mount / "cpu" / "cpu.cfs_period_us", "100000\n")
    assert quota(tmp_path, mount, "1:cpu:/\n") is None


def test_no_cgroup_at_all(tmp_path: Path) -> None:
    assert processor._cgroup_quota(tmp_path / "absent", tmp_path) is None


@pytest.mark.parametrize(
    ("affinity", "limit", "cores"),
    [(8, None, 8), (8, 2.0, 2), (8, 2.9, 2), (2, 16.0, 2), (4, 0.25, 1)],
)
def test_available_cores_never_exceed_quota_or_affinity(
    monkeypatch: pytest.MonkeyPatch, affinity: int, limit: float | None, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(affinity)), raising=False)
    monkeypatch.setattr(processor, "_cgroup_quota", lambda: limit)
    assert processor.available_cores() == cores


def test_cores_without_an_affinity_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.setattr(processor, "_cgroup_quota", lambda: None)
    assert processor.available_cores() == 6


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("sse avx512f avx512_bf16", True), ("amx_tile amx_bf16", True), ("sse avx2", False)],
)
def test_bf16_is_read_from_the_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, expected: bool
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: spectre\n")
    found = processor.processor_flags(cpuinfo)
    assert found == frozenset(flags.split())
    monkeypatch.setattr(processor, "processor_flags", lambda: found)
    assert processor.has_bf16() is expected


def test_bf16_is_unknown_without_cpuinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert processor.processor_flags(tmp_path / "absent") is None
    monkeypatch.setattr(processor, "processor_flags", lambda: None)
    assert processor.has_bf16() is None


def test_more_threads_than_cores_are_not_used_and_one_warning_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    processor._warn_of_fewer.cache_clear()
    assert [processor.threads_within(3, 1000) for _ in range(2)] == [3, 3]
    assert caplog.messages == ["Using 3 threads, not 1000: this process may use no more cores."]


@pytest.mark.parametrize(("threads", "used"), [(None, 3), (1, 1), (3, 3)])
def test_as_many_threads_as_requested_if_there_are_cores(
    threads: int | None, used: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert processor.threads_within(3, threads) == used
    assert not caplog.messages


@pytest.mark.parametrize("threads", [0, -1])
def test_a_number_of_threads_below_one_is_refused(threads: int) -> None:
    with pytest.raises(UsageError, match=f"number of threads must be .* 1, not {threads}"):
        processor.threads_within(3, threads)


def test_the_processor_has_the_name_that_the_kernel_gives_it(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Abacus 2\n\nmodel name\t: Abacus 2\n")
    assert processor.processor_name(cpuinfo) == "Abacus 2"
    assert processor.processor_name(tmp_path / "none") == platform.processor()
