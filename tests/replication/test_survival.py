"""Kills the command sixty times in one batch, runs it twice at once, and presses Ctrl-C.

tests/cli/test_survival.py does the same in seconds, with a painter that paints nothing.
"""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.replication

PHOTOS = 240
KILLS = 60
NETWORK = ("--model", "squeezenet1_1", "--device", "cpu", "--threads", "1")
SMALL = ("--size", "64", "--iterations", "2", "--scales", "1")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for number in range(PHOTOS):
        picture(number).save(f"photos/{number:03}.png")
    picture(99).save("style.png")


def picture(seed: int) -> Image.Image:
    colours = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(colours).resize((80, 60), Image.Resampling.BICUBIC)


def start(out: str, *options: str) -> subprocess.Popen[str]:
    words = ["stylize", "photos", "-s", "style.png", "-o", out, *NETWORK, *(options or SMALL)]
    return subprocess.Popen(
        [sys.executable, "-m", "nstbatch", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def content(out: str) -> dict[str, bytes]:
    found = (path for path in Path(out).rglob("*") if path.is_file())
    return {path.name: path.read_bytes() for path in found if path.name != "nstbatch.jsonl"}


def made(out: str) -> Counter[str]:
    """Number of times that each picture was finished."""
    lines = map(json.loads, Path(out, "nstbatch.jsonl").read_text().splitlines())
    return Counter(line["output_in_folder"] for line in lines if line.get("status") == "done")


def test_sixty_kills():
    began = time.monotonic()
    with start("whole") as process:
        process.stdout.readline()
        first = time.monotonic() - began
        process.communicate()
    each = (time.monotonic() - began - first) / (PHOTOS - 1)
    rng, killed, before = random.Random(0), 0, {}
    for _ in range(KILLS):
        with start("out") as process:
            # After some pictures, not only after some time: other work may slow the machine down.
            pictures = rng.randrange(4)
            for _ in range(pictures):
                process.stdout.readline()
            time.sleep(rng.uniform(0, 2 * each if pictures else first))
            process.kill()
        killed += process.returncode == -signal.SIGKILL
        now = {path: path.stat().st_mtime_ns for path in Path("out").glob("*.png")}
        assert before.items() <= now.items()
        before = now
    print(f"{killed} of {KILLS} were killed, after {len(before)} of {PHOTOS} pictures")
    with start("out") as process:
        process.communicate()
    assert process.returncode == 0
    assert content("out") == content("whole")
    assert made("out") == Counter(content("whole").keys() - {"nstbatch.toml"})
    assert killed > KILLS / 2


def test_two_at_once():
    processes = [start("out"), start("out")]
    assert [process.communicate() and process.returncode for process in processes] == [0, 0]
    assert len(made("out")) == PHOTOS
    assert set(made("out").values()) == {1}


def test_ctrl_c_in_the_middle_of_a_long_step():
    large = ("--size", "1024", "--scales", "1", "--model", "vgg16", "--verbose")
    layers = ("--style-layers", "relu2_1", "--content-layers", "relu2_1")
    with start("out", *large, *layers) as process:
        for line in process.stderr:
            if "scale 1/1" in line:  # the first step is done, the second under way
                break
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, err = process.communicate()
        took = time.monotonic() - began
    print(f"ended {took:.2f} s after the signal")
    assert process.returncode == 130
    assert "to go on: nstbatch stylize photos" in err
    assert took < 2
    assert content("out").keys() == {"nstbatch.toml"}
