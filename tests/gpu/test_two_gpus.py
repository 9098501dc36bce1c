"""A batch on two stub GPUs, with a worker process for each."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from stub_gpu import StubGpu

from nstbatch.runtime.pictures.images import write

pytestmark = pytest.mark.gpu_stub

PHOTOS = 40
GIVEN = re.compile(r"^(\S+): painted by process (\d+)$", re.M)
STYLIZE = (
    *("stylize", "photos", "--style", "style.png", "--model", "squeezenet1_1"),
    *("--size", "32", "--iterations", "20", "--scales", "1", "--verbose"),
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    Path("photos").mkdir()
    for number in range(PHOTOS):
        write(Path(f"photos/{number:02}.png"), rng.random((32, 32, 3), dtype=np.float32))
    write(Path("style.png"), rng.random((32, 32, 3), dtype=np.float32))


def started(gpu: StubGpu, *words: str, trace: Path | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "nstbatch", *words],
        env=gpu.environment(trace, STUB_GPUS="2"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def painted() -> Counter[str]:
    """The number of times that each picture was finished."""
    lines = map(json.loads, Path("stylized/nstbatch.jsonl").read_text().splitlines())
    return Counter(line["output_in_folder"] for line in lines if line.get("status") == "done")


def gpus_used(trace: Path) -> set[str]:
    """The GPUs whose memory was taken for more than a trial."""
    taken = Counter(
        line.rpartition(" ")[2] for line in trace.read_text().splitlines() if "malloc" in line
    )
    return {number for number, count in taken.items() if count > 100}


@pytest.mark.parametrize("devices", [("--device", "cuda:0,cuda:1"), ("--gpus", "all")])
def test_forty_photos_on_two_gpus(gpu: StubGpu, devices: Sequence[str]) -> None:
    if devices[0] == "--gpus":  # "auto" does not trust the stub
        devices = (*devices, "--device", "cuda")
    trace = Path("trace").absolute()
    batch = started(gpu, *STYLIZE, *devices, trace=trace)
    log, killed = "", None
    assert batch.stderr is not None
    for line in batch.stderr:
        log += line
        if killed is None and log.count("] done ") == 4:  # one that has painted, at work
            killed = Counter(GIVEN.findall(log)).most_common(1)[0][0][1]
            os.kill(int(killed), signal.SIGKILL)
    batch.communicate()
    assert batch.returncode == 0, log
    assert painted() == {f"{number:02}.png": 1 for number in range(PHOTOS)}
    processes: dict[str, list[str]] = {}
    for photo, process in GIVEN.findall(log):
        processes.setdefault(photo, []).append(process)
    again = [photo for photo, some in processes.items() if len(some) > 1]
    assert len(again) == log.count("a worker ended (SIGKILL)")
    assert 0 < len(again) <= 2  # what a process has in hand at most
    assert all(killed in processes[photo] for photo in again)
    assert gpus_used(trace) == {"0", "1"}
    # Each of the two has painted, and perhaps the one that was started in place of the killed one.
    assert len({process for some in processes.values() for process in some}) >= 2


def test_a_gpu_that_is_not_there(gpu: StubGpu) -> None:
    batch = started(gpu, *STYLIZE, "--device", "cuda:0,cuda:2")
    _, log = batch.communicate()
    assert batch.returncode == 2
    assert "Unknown device 'cuda:2'." in log
    assert "Known: cuda:0, cuda:1." in log
