"""Photos that land in a folder slowly, and a watch over it; tests of several folders use it."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import many_uploads

COMMAND = (sys.executable, "-m", "nstbatch", "watch", "in", "--out", "out", "--recursive")
COMMAND += ("--style", "style.jpg", "--model", "squeezenet1_1", "--device", "cpu")
COMMAND += ("--size", "32", "--iterations", "1", "--scales", "1")


def land(folder: Path, longest_pause: float, number: int) -> None:
    """Write a photo piece by piece; every third has another name until it is complete."""
    chance = random.Random(number)
    data = many_uploads.jpeg(number % many_uploads.PHOTOS, 200)
    final = folder / f"{'deep/' if number % 4 == 0 else ''}{number:03}.jpg"
    final.parent.mkdir(parents=True, exist_ok=True)
    unfinished = (".part", ".crdownload", ".tmp")[number % 3]
    path = final.with_name(final.name + unfinished) if number % 3 == 1 else final
    ends = sorted(chance.sample(range(1, len(data)), 4))
    with path.open("wb") as file:
        for start, end in zip([0, *ends], [*ends, len(data)], strict=True):
            file.write(data[start:end])
            file.flush()
            time.sleep(chance.uniform(0, longest_pause))
    path.rename(final)


def land_all(folder: Path, numbers: Sequence[int], *, longest_pause: float, together: int) -> None:
    """Write photos, several at a time."""
    with ThreadPoolExecutor(together) as pool:
        list(pool.map(partial(land, folder, longest_pause), numbers))


@contextmanager
def watching(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A watch over ``in``, once it looks; it is killed at the end."""
    (folder / "in").mkdir(exist_ok=True)
    if not (folder / "style.jpg").exists():
        (folder / "style.jpg").write_bytes(many_uploads.jpeg(99))
    process = subprocess.Popen(
        (*COMMAND, *words),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said.startswith("watching in"), said + process.stderr.read()
        yield process
    finally:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Send Ctrl-C, and return the exit code and what was printed."""
    process.send_signal(signal.SIGINT)
    printed, said = process.communicate(timeout=30)
    return process.returncode, printed, said


def attempts(folder: Path) -> list[tuple[str, str]]:
    """The pictures of a ledger and their statuses, an entry for each attempt."""
    ledger = folder / "out" / "nstbatch.jsonl"
    if not ledger.exists():
        return []
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    images = [line for line in lines if line["kind"] == "image"]
    return [(line["output_in_folder"], line["status"]) for line in images]


def wait_for(folder: Path, count: int, seconds: float) -> None:
    """Wait until there are so many attempts."""
    until = time.monotonic() + seconds
    while len(attempts(folder)) < count:
        assert time.monotonic() < until, attempts(folder)
        time.sleep(0.1)
