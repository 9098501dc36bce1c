"""``--engine ray``: a killed worker costs what it had in hand, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from ray_batches import RAY, RayBatch, command, content, family, left, made, make_photos, run

PHOTOS = 12

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals, and /proc")


def test_a_killed_worker_of_a_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_photos(PHOTOS)
    batch = RayBatch("ray")
    local = subprocess.Popen(command("local"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    batch.until(4)
    killed = batch.last_painter
    os.kill(killed, signal.SIGKILL)
    processes = family(batch.process.pid)
    assert batch.finish() == 0
    assert local.wait() == 0
    assert content("ray") == content("local")
    assert made("ray") == Counter(content("local").keys())
    assert f"a worker ended (Ray worker {killed} on " in batch.log
    assert left(processes) == []
    assert not list(Path("ray").glob(".nstbatch*"))


def test_a_cluster_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_photos(1)
    done = run("ray", *RAY, "--address", "127.0.0.1:1")
    assert done.returncode == 2
    assert "Ray cannot be reached at 127.0.0.1:1: Connection refused." in done.stderr
    assert not Path("ray/nstbatch.jsonl").exists()
