import json
from pathlib import Path

import pytest

from nstbatch.cli.output.known_results import FRAMES_FROM, KnownResults
from nstbatch.runtime.systems.zoom import MADE_FROM


def line(output: str, status: str = "done", **fields) -> str:
    record = {"kind": "image", "input": "x", "output_in_folder": output, "status": status}
    return json.dumps(record | fields) + "\n"


@pytest.fixture
def out(tmp_path) -> Path:
    (tmp_path / "deep/er").mkdir(parents=True)
    text = line("a.jpg") + line("deep/er/b.jpg") + line("failed.jpg", "failed") + line("../c.jpg")
    text += line("relu1_filter_3.png", layer="fire2/relu1") + '{"torn'
    (tmp_path / "nstbatch.jsonl").write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "is_result"),
    [
        ("a.jpg", True),
        ("deep/er/b.jpg", True),
        ("deep/b.jpg", False),
        ("failed.jpg", False),
        ("../c.jpg", False),
        ("fire2_relu1_overview.png", True),
        ("fire2_relu1_overview_2.png", True),
        ("relu2_overview.png", False),
        ("deep/fire2_relu1_overview.png", False),
    ],
)
def test_ledgers_tell_results_from_photos(out, name, is_result):
    assert KnownResults()(str(out / name)) == is_result


def test_frames_of_films_are_results(tmp_path):
    assert FRAMES_FROM == MADE_FROM
    (tmp_path / MADE_FROM).touch()
    known = KnownResults()
    assert known(str(tmp_path / "000001.png"))
    assert not known(str(tmp_path / "1.png"))
    assert not known(str(tmp_path / "deep" / "000001.png"))


def test_single_pictures_and_pictures_without_a_line_yet_are_results(tmp_path):
    (tmp_path / ".nstbatch.jsonl").write_text(line("one.jpg"))
    (tmp_path / ".nstbatch").mkdir()
    (tmp_path / ".nstbatch/0123.json").write_text(line("two.jpg"))
    known = KnownResults()
    assert [known(str(tmp_path / name)) for name in ("one.jpg", "two.jpg", "3.jpg")] == [1, 1, 0]


def test_each_ledger_is_read_once(out, monkeypatch):
    read = []
    read_bytes = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path) or read_bytes(path))
    known = KnownResults()
    for number in range(100):
        assert not known(str(out / "deep" / "er" / f"{number}.jpg"))
    assert len(read) == len(set(read))
