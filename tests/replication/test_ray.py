"""``--engine ray``: sixty photos, three killed workers and a killed batch, on a Ray of two workers.

tests/cli/workers/test_ray.py does a part of it in seconds. The facts of the last run are in the
folder results/ beside this file.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import pytest
from ray_batches import RAY, RayBatch, command, content, family, left, made, make_photos, run

RESULTS = Path(__file__).parent / "results" / "ray.json"

PHOTOS = 60
TINY, TURNS = 100, 2
KILLS_AFTER = (10, 25, 40)
"""A worker is killed when so many pictures are there."""

RAY_GIVES_UP = 90.0
"""Seconds: two processes of Ray try for 60 to tell the killed batch that its Ray was killed too."""

pytestmark = [
    pytest.mark.replication,
    pytest.mark.skipif(sys.platform != "linux", reason="signals, and /proc"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_photos(PHOTOS)


def test_killed_workers_and_a_killed_batch() -> None:
    began = time.monotonic()
    assert run("local", "--jobs", "2").returncode == 0
    whole = content("local")
    assert len(whole) == PHOTOS
    facts = {"photos": PHOTOS, "seconds_of_local_jobs_2": _since(began)}
    facts |= {"workers": kill_workers(whole), "batch": kill_the_batch(whole)}
    facts["versions"] = {name: version(name) for name in ("ray", "onnxruntime")}
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(known | facts, indent=1) + "\n")


def kill_workers(whole: dict[str, bytes]) -> dict[str, float]:
    began = time.monotonic()
    batch = RayBatch("killed")
    killed = set()
    for pictures in KILLS_AFTER:
        batch.until(pictures)
        os.kill(batch.last_painter, signal.SIGKILL)
        killed.add(batch.last_painter)
    processes = family(batch.process.pid)
    assert batch.finish() == 0
    assert len(killed) == len(KILLS_AFTER)
    assert content("killed") == whole
    assert made("killed") == Counter(whole.keys())
    assert left(processes) == []
    assert not list(Path("killed").glob(".nstbatch*"))
    again = batch.log.count("so another one paints again")
    assert again
    return {"killed": len(killed), "photos_again": again, "seconds": _since(began)}


def kill_the_batch(whole: dict[str, bytes]) -> dict[str, float]:
    batch = RayBatch("resumed")
    batch.until(PHOTOS // 3)
    processes = family(batch.process.pid)
    batch.process.kill()
    batch.finish()
    killed = time.monotonic()
    soon = left(processes)
    facts = {"processes_of_ray": len(processes), "after_ten_seconds": len(soon)}
    assert left(soon, RAY_GIVES_UP) == []
    facts["seconds_until_they_had_ended"] = _since(killed)
    before = _dates("resumed")
    began = time.monotonic()
    assert run("resumed", *RAY).returncode == 0
    facts["seconds_of_the_rest"] = _since(began)
    assert before.items() <= _dates("resumed").items()
    assert content("resumed") == whole
    assert made("resumed") == Counter(whole.keys())
    facts |= {"pictures_before": len(before), "pictures_after": PHOTOS - len(before)}
    return facts


def _dates(out: str) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in Path(out).glob("*.png")}


def test_what_ray_adds_to_a_photo() -> None:
    """Tiny pictures of one step, by two workers, in turns; see docs/scale.md."""
    make_more_photos(TINY)
    found: dict[str, list[dict[str, float]]] = {"local": [], "ray": []}
    for turn in range(TURNS):
        found["local"].append(pace(f"local{turn}", "--jobs", "2"))
        found["ray"].append(pace(f"ray{turn}", *RAY))
        facts = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        facts |= {"tiny_pictures": TINY, "pace": found}
        RESULTS.write_text(json.dumps(facts, indent=1) + "\n")
    assert content("local0") == content("ray0")


def make_more_photos(number: int) -> None:
    for photo in range(PHOTOS, number):
        shutil.copy("photos/00.png", f"photos/{photo}.png")


def pace(out: str, *more: str) -> dict[str, float]:
    """Run a batch; its time and the processor time of its own process, from the first picture on.

    In milliseconds for a photo.
    """
    tiny = ("--size", "32", "--iterations", "1")
    words = command(out, *more, *tiny)
    batch = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert batch.stdout is not None
    times = []
    for _ in batch.stdout:
        times.append((time.monotonic(), _processor_time(batch.pid)))
        if len(times) == TINY:
            break
    batch.communicate()
    assert batch.returncode == 0
    (began, idle), (ended, busy) = times[0], times[-1]
    return {
        "ms": round(1e3 * (ended - began) / (TINY - 1), 2),
        "processor_ms_of_the_batch": round(1e3 * (busy - idle) / (TINY - 1), 2),
    }


def _processor_time(process: int) -> float:
    """The seconds that a process has computed, without its children."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _since(began: float) -> float:
    return round(time.monotonic() - began, 1)
