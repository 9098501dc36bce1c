"""A file has arrived when it has stayed the same and can be decoded."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from many_uploads import jpeg

from nstbatch.cli.watching.arrivals import Arrivals, is_whole


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Folder:
    """A file, and what waits for it."""

    def __init__(self, path: Path) -> None:
        self.path, self.clock, self.looks = path, Clock(), 0
        self.arrivals = Arrivals(self._decode, settling=2, patience=60, clock=self.clock)

    def _decode(self, path: Path) -> bool:
        self.looks += 1
        return path.read_bytes().endswith(b"whole")

    def write(self, data: bytes) -> None:
        self.path.write_bytes(data)
        time = round(self.clock.now * 1e9)
        os.utime(self.path, ns=(time, time))

    def after(self, seconds: float) -> bool:
        """Whether it has arrived so many seconds later."""
        self.clock.now += seconds
        return bool(self.arrivals.ready([self.path]))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "a.jpg")


def test_a_file_that_stays_the_same_has_arrived(folder: Folder) -> None:
    folder.write(b"whole")
    assert not folder.after(0)
    assert folder.arrivals.is_waiting
    assert not folder.after(1.9)
    assert folder.looks == 0
    assert folder.after(0.2)


def test_a_file_that_grows_has_not(folder: Folder) -> None:
    for number in range(5):
        folder.write(b"x" * number)
        assert not folder.after(1.5)
    assert folder.looks == 0
    folder.write(b"whole")
    assert not folder.after(1.9)
    assert folder.after(2)


def test_a_file_of_the_same_size_that_is_written_again_has_not(folder: Folder) -> None:
    folder.write(b"whole")
    assert not folder.after(0)
    folder.clock.now += 1
    folder.write(b"whole")
    assert not folder.after(1.5)
    assert folder.after(2)


def test_a_writer_may_pause_in_the_middle(folder: Folder) -> None:
    folder.write(b"half")
    assert not any(folder.after(0.5) for _ in range(40))
    assert folder.looks < 8  # the pauses between two tries become longer
    folder.write(b"whole")
    assert not folder.after(0)
    assert folder.after(2)


def test_a_broken_file_is_given_up_in_the_end(folder: Folder) -> None:
    folder.write(b"broken")
    assert not folder.after(0)
    assert not any(folder.after(0.5) for _ in range(119))
    assert folder.after(0.6)


def test_a_file_is_dealt_with_once_for_each_version(folder: Folder) -> None:
    folder.write(b"whole")
    folder.after(0)
    assert folder.after(2)
    folder.arrivals.deal_with(folder.path)
    assert not folder.arrivals.is_new(folder.path)
    assert not folder.arrivals.is_waiting
    folder.write(b"another whole")
    assert folder.arrivals.is_new(folder.path)


def test_a_version_that_comes_while_the_last_is_painted_is_new(folder: Folder) -> None:
    folder.write(b"whole")
    folder.after(0)
    assert folder.after(2)
    folder.write(b"even better, and whole")
    folder.arrivals.deal_with(folder.path)
    assert folder.arrivals.is_new(folder.path)


def test_a_file_that_is_taken_away_is_forgotten(folder: Folder) -> None:
    folder.write(b"whole")
    folder.after(0)
    folder.path.unlink()
    assert not folder.after(3)
    assert not folder.arrivals.is_waiting
    folder.write(b"whole")
    assert not folder.after(0)


def test_half_a_picture_is_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    for part in (0, 0.1, 0.5, 0.98, 1):
        data = jpeg(0)
        path.write_bytes(data[: int(len(data) * part)])
        assert is_whole(path) == (part == 1)
    assert not is_whole(tmp_path / "missing.jpg")
