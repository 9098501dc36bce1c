"""The worker's side of Ray, in this process and without Ray."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import nstbatch
from nstbatch.cli.workers.messages import Said, Stepped
from nstbatch.cli.workers.ray_actor import PERIOD, WRONG_USAGE, Ended, Place, RayPainter
from nstbatch.runtime.descent.progress import Progress


def painter(folder: Path, version: str = nstbatch.__version__) -> RayPainter:
    return RayPainter(Place(folder, {"NSTBATCH_TEST_OF_RAY": "1"}, version))


def step(number: int, *, waits: bool = False) -> Stepped:
    return Stepped(1, Progress(1, 1, number, 9, 0.5, 64, 64, {"total": 1.0}), waits)


def test_steps_wait_for_one_another_and_nothing_else_does(tmp_path: Path) -> None:
    worker = painter(tmp_path)
    for message in [step(0), step(1), Said("a line"), step(2), step(3, waits=True), step(4)]:
        worker._answers.put(message)
    began = time.monotonic()
    together = [worker._together() for _ in range(2)]
    assert time.monotonic() - began < PERIOD
    assert [len(each) for each in together] == [3, 2]
    assert isinstance(together[0][-1], Said)
    assert together[1][-1].waits
    assert len(worker._together()) == 1
    assert time.monotonic() - began >= PERIOD


@pytest.mark.parametrize(
    ("folder", "version", "fault"),
    [
        ("gone", nstbatch.__version__, "has no folder "),
        (".", "0.0.1", f"has nstbatch {nstbatch.__version__}, and the batch has 0.0.1"),
    ],
)
def test_a_machine_that_cannot_paint_says_why(
    tmp_path: Path, folder: str, version: str, fault: str
) -> None:
    worker = painter(tmp_path / folder, version)
    worker._run()
    said, ended = worker._answers.get(), worker._answers.get()
    assert isinstance(said, Said)
    assert fault in said.line
    assert ended == Ended(WRONG_USAGE)


def test_a_worker_goes_where_the_batch_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    monkeypatch.delenv("NSTBATCH_TEST_OF_RAY", raising=False)
    assert painter(tmp_path)._settle() is None
    assert Path.cwd() == tmp_path
    assert os.environ["NSTBATCH_TEST_OF_RAY"] == "1"
    monkeypatch.delenv("NSTBATCH_TEST_OF_RAY")
