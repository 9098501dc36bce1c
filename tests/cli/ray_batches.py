"""Small batches on a Ray of this machine, and the processes that belong to them.

Not collected as a test; workers/test_ray.py and tests/replication/test_ray.py use it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

from nstbatch.runtime.pictures.images import write

RAY = ("--engine", "ray", "--jobs", "2")
SMALL = (
    "--model",
    "squeezenet1_1",
    "--size",
    "64",
    "--scales",
    "1",
    "--device",
    "cpu",
    "--threads",
    "1",
)
PAINTED_BY = re.compile(r": painted by Ray worker (\d+) on ")


def make_photos(number: int) -> None:
    """Write photos and a style to the current folder."""
    rng = np.random.default_rng(0)
    Path("photos").mkdir()
    for photo in range(number):
        write(Path(f"photos/{photo:02}.png"), rng.random((32, 48, 3), dtype=np.float32))
    write(Path("style.png"), rng.random((48, 48, 3), dtype=np.float32))


def command(out: str, *more: str) -> list[str]:
    words = ["stylize", "photos", "--style", "style.png", "--out", out, "--iterations", "3"]
    return [sys.executable, "-m", "nstbatch", *words, *SMALL, *more]


def run(out: str, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(out, *more), capture_output=True, text=True, check=False)


class RayBatch:
    """A batch under way, with all lines of its standard error so far."""

    def __init__(self, out: str, *more: str) -> None:
        self.out, self.log = Path(out), ""
        self.process = subprocess.Popen(
            command(out, *RAY, "--verbose", *more),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def until(self, pictures: int) -> None:
        """Wait until so many pictures are there."""
        assert self.process.stderr is not None
        while len(list(self.out.glob("*.png"))) < pictures:
            line = self.process.stderr.readline()
            assert line, self.log
            self.log += line

    @property
    def last_painter(self) -> int:
        """The process of the worker that was given the last photo."""
        return int(PAINTED_BY.findall(self.log)[-1])

    def finish(self) -> int:
        """Wait for the end, and return the exit code."""
        self.log += self.process.communicate(timeout=300)[1]
        return self.process.returncode


def content(out: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(out).glob("*.png")}


def made(out: str) -> Counter[str]:
    """Number of times that each picture was finished."""
    lines = map(json.loads, Path(out, "nstbatch.jsonl").read_text().splitlines())
    return Counter(line["output_in_folder"] for line in lines if line.get("status") == "done")


def family(process: int) -> list[int]:
    """The processes that descend from one."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        parents[int(path.parent.name)] = int(fields[1])
    found = [process]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found[1:]


def left(processes: list[int], seconds: float = 10.0) -> list[int]:
    """Wait a while for processes to end, and return the others; a zombie has ended."""
    until = time.monotonic() + seconds
    while (alive := [each for each in processes if _is_alive(each)]) and time.monotonic() < until:
        time.sleep(0.05)
    return alive


def _is_alive(process: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
