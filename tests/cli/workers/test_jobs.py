"""``--jobs``: worker processes paint what one process would, and their end costs little."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from nstbatch.runtime.devices.processor import available_cores
from nstbatch.runtime.pictures.images import write

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="signals, and /proc"),
    pytest.mark.skipif(available_cores() < 2, reason="there is one core for one process"),
]

PROGRAM = (sys.executable, "-m", "nstbatch")
PHOTOS = 6


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Photos and a style in the current folder."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    Path("photos").mkdir()
    for number in range(PHOTOS):
        write(Path(f"photos/{number}.png"), rng.random((32, 48, 3), dtype=np.float32))
    write(Path("style.png"), rng.random((48, 48, 3), dtype=np.float32))


def words(out: str, *more: str, steps: int = 2) -> list[str]:
    style = ["--style", "style.png", "--model", "squeezenet1_1", "--size", "48"]
    return ["stylize", "photos", "--out", out, *style, "--iterations", str(steps), *more]


def run(*given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *given], capture_output=True, text=True, check=False)


def lines(out: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in Path(out, "nstbatch.jsonl").read_text().splitlines()]


def painted(out: str) -> Counter[object]:
    """The number of times that each picture was finished."""
    return Counter(line["output_in_folder"] for line in lines(out) if line.get("status") == "done")


def pictures(out: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(out).glob("*.png")}


def processes_of(log: str) -> dict[str, list[str]]:
    """The processes that each photo was given to, by the messages of --verbose."""
    found: dict[str, list[str]] = {}
    for line in log.splitlines():
        photo, mark, process = line.partition(": painted by process ")
        if mark:
            found.setdefault(photo, []).append(process)
    return found


@pytest.fixture
def begun() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """A function that starts a batch of two processes, and waits until both paint."""
    started: list[subprocess.Popen[str]] = []

    def begin(out: str, *more: str, steps: int) -> subprocess.Popen[str]:
        command = [*PROGRAM, *words(out, "--jobs", "2", "--device", "cpu", *more, steps=steps)]
        batch = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
        started.append(batch)
        assert batch.stderr is not None
        log = ""
        while len({each for some in processes_of(log).values() for each in some}) < 2:
            line = batch.stderr.readline()
            assert line, "the batch ended before both processes painted"
            log += line
        batch.log = log  # type: ignore[attr-defined]
        return batch

    yield begin
    for batch in started:
        if batch.returncode is None:
            batch.kill()
            batch.communicate()


def workers(batch: subprocess.Popen[str]) -> list[int]:
    path = Path(f"/proc/{batch.pid}/task/{batch.pid}/children")
    return [int(word) for word in path.read_text().split()]


def are_gone(processes: list[int]) -> bool:
    """Wait a while for processes to end; they may stay as zombies, whose parent is gone."""
    for _ in range(200):
        states = [Path(f"/proc/{each}/stat") for each in processes]
        alive = [path for path in states if path.exists() and ") Z " not in path.read_text()]
        if not alive:
            return True
        time.sleep(0.05)
    return False


def test_two_processes_paint_what_one_does() -> None:
    assert run(*words("one", "--device", "cpu")).returncode == 0
    two = run(*words("two", "--device", "cpu", "--jobs", "2", "--snapshots", "1", "--verbose"))
    assert two.returncode == 0
    assert pictures("two") == pictures("one")
    assert painted("two") == {f"{number}.png": 1 for number in range(PHOTOS)}
    assert len(processes_of(two.stderr)) == PHOTOS  # all of them by workers
    assert len(list(Path("two").glob("*.snapshots/*.png"))) == PHOTOS
    curves = [
        {line["output_in_folder"]: line["curve"] for line in lines(out) if "curve" in line}
        for out in ("one", "two")
    ]
    assert curves[0] == curves[1]


def test_a_killed_process_costs_only_what_it_had_in_hand(
    begun: Callable[..., subprocess.Popen[str]],
) -> None:
    batch = begun("out", "--verbose", steps=200)
    killed, other = workers(batch)
    os.kill(killed, signal.SIGKILL)
    _, rest = batch.communicate()
    log = batch.log + rest  # type: ignore[attr-defined]
    assert batch.returncode == 0
    assert painted("out") == {f"{number}.png": 1 for number in range(PHOTOS)}
    again = {photo for photo, some in processes_of(log).items() if len(some) > 1}
    in_hand = {photo for photo, some in processes_of(log).items() if str(killed) in some}
    assert 0 < len(again) <= 2  # as many as a process has in hand at most
    assert again <= in_hand
    assert log.count("a worker ended (SIGKILL)") == len(again)
    assert not list(Path("out").glob(".nstbatch/*"))
    assert are_gone([killed, other])


@pytest.mark.parametrize("end", ["interrupt", "interrupt twice", "kill"])
def test_no_process_is_left_behind(begun: Callable[..., subprocess.Popen[str]], end: str) -> None:
    batch = begun("out", "--verbose", steps=5000)
    left = workers(batch)
    if end == "kill":
        os.kill(batch.pid, signal.SIGKILL)
    else:  # as a terminal does, to all processes
        os.killpg(batch.pid, signal.SIGINT)
        if end == "interrupt twice":
            time.sleep(0.02)  # else the second one may not be told apart
            os.killpg(batch.pid, signal.SIGINT)
    _, log = batch.communicate(timeout=30)
    assert batch.returncode == (-signal.SIGKILL if end == "kill" else 130)
    assert "Traceback" not in log.partition("interrupted:")[2]
    assert "to go on: nstbatch stylize" in log or end != "interrupt"
    assert are_gone(left)


def test_faults_and_warnings_are_told_once() -> None:
    Path("photos/2.png").write_text("no picture")
    done = run(*words("out", "--device", "cpu", "--jobs", "2", "--json"))
    assert done.returncode == 1
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert Counter(line["status"] for line in told) == {"done": PHOTOS - 1, "failed": 1}
    assert done.stderr.count("photos/2.png") == 1


def test_one_photo_is_painted_without_further_processes() -> None:
    done = run(*words("out", "--device", "cpu", "--jobs", "2", "--include", "0.png", "-v"))
    assert done.returncode == 0
    assert processes_of(done.stderr) == {}
    assert painted("out") == {"0.png": 1}


def test_a_dry_run_tells_the_processes() -> None:
    done = run(*words("out", "--device", "cpu", "--jobs", "2", "--threads", "1", "--dry-run"))
    assert f"{PHOTOS} to paint in 2 processes of 1 thread" in done.stderr
