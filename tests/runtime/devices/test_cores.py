"""Cores are divided so that neighbours stay together."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nstbatch.runtime.devices import cores
from nstbatch.runtime.devices.cores import divided_cores

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes choose no cores there")


@pytest.fixture
def two_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two sockets of two cores with two threads each, numbered as Linux does: 0 and 4 are one."""
    for number in range(8):
        folder = tmp_path / f"cpu{number}" / "topology"
        folder.mkdir(parents=True)
        (folder / "physical_package_id").write_text(f"{number % 4 // 2}\n")
        (folder / "core_id").write_text(f"{number % 2}\n")
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda _: set(range(8)))
    return tmp_path


def test_a_socket_for_each_of_two_processes(two_sockets: Path) -> None:
    assert divided_cores(2, two_sockets) == [{0, 4, 1, 5}, {2, 6, 3, 7}]


def test_a_core_with_both_its_threads_for_each_of_four(two_sockets: Path) -> None:
    assert divided_cores(4, two_sockets) == [{0, 4}, {1, 5}, {2, 6}, {3, 7}]


def test_every_core_goes_to_one_process(two_sockets: Path) -> None:
    parts = divided_cores(3, two_sockets)
    assert sorted(core for part in parts for core in part) == list(range(8))
    assert all(parts)


def test_without_a_description_cores_go_by_their_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda _: {3, 1, 2, 0})
    assert divided_cores(2, tmp_path) == [{0, 1}, {2, 3}]
