"""Batches that are killed, run out of room, or run twice: nothing is lost or done twice.

The painter takes milliseconds; tests/replication/test_survival.py has the real one.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

DRIVER = Path(__file__).with_name("batch_process.py")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks, signals and limits")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def photos(number: int) -> None:
    Path("photos").mkdir()
    for index in range(number):
        Path("photos", f"{index:03}.png").write_text(str(index))


def drive(*words: object):
    """Run the driver, and return its findings."""
    command = [sys.executable, "-W", "error", DRIVER, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def lines(out: str = "out") -> list[dict]:
    return [json.loads(line) for line in Path(out, "nstbatch.jsonl").read_text().splitlines()]


def made(out: str = "out") -> Counter[str]:
    """Return the number of times that each picture was finished."""
    return Counter(line["output_in_folder"] for line in lines(out) if line.get("status") == "done")


def content(out: str) -> dict[str, bytes]:
    """Return all files but the ledger and the settings, also hidden ones."""
    own = {"nstbatch.jsonl", "nstbatch.toml"}
    found = (path for path in Path(out).rglob("*") if path.is_file() and path.name not in own)
    return {path.name: path.read_bytes() for path in found}


@pytest.mark.parametrize(("mode", "out"), [("kill", "out"), ("kill_in_place", "photos")])
def test_sixty_kills_leave_what_an_undisturbed_batch_leaves(mode, out):
    photos(120)
    before = content("photos")
    found = drive(mode, 60)
    assert found["killed"] > 30  # the others were done before they were killed
    assert found["again"] == []
    assert found["code"] == 0
    now = content(out)
    if out == "photos":  # beside the photos, under names of their own
        assert before.items() <= now.items()
        now = {n.replace("_x.", "."): data for n, data in now.items() if n not in before}
    assert now == content("whole")
    assert set(made(out).values()) == {1}
    assert len(made(out)) == 120
    assert not Path(out, ".nstbatch").exists()


def test_a_disk_that_fills_leaves_no_half_picture_and_the_batch_goes_on_later():
    photos(12)
    tries = drive("fill", 20)
    whole = content("whole")
    stopped = [
        found for found in tries if found["pictures"].keys() < {n for n in whole if n[-3:] == "png"}
    ]
    assert len(stopped) > 10
    for number, found in enumerate(tries):
        for name, picture in found["pictures"].items():
            assert bytes.fromhex(picture) == whole[name]
        assert found["after"] == 0
        assert content(f"out{number}") == whole
        assert set(made(f"out{number}").values()) == {1}
    for found in stopped:
        assert found["code"] == 1
        assert "The batch was stopped. Nothing more can be written, File too large" in found["log"]
        assert "to go on: nstbatch stylize photos --size 512\n" in found["log"]


def test_two_processes_divide_the_work():
    photos(200)
    assert drive("pair")["codes"] == [0, 0]
    assert len(made()) == 200
    assert set(made().values()) == {1}
    runs = Counter(line["run"] for line in lines() if line["kind"] == "image")
    assert len(runs) == 2
    assert not Path("out/.nstbatch").exists()


def test_a_picture_of_a_process_that_dies_is_painted_by_the_one_that_waits():
    photos(8)
    found = drive("death")
    assert found["waits"]
    assert found["code"] == 0
    assert len(made()) == 8
    assert "done photos/003.png" in found["log"]
