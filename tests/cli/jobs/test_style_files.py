"""The files of --style: names, weights and folders."""

from pathlib import Path

import pytest

from nstbatch.cli.jobs.style_files import style_files
from nstbatch.cli.jobs.weighted import weighted_path
from nstbatch.runtime.errors import UsageError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "path", "weight"),
    [
        ("monet.jpg", "monet.jpg", 1),
        ("monet.jpg=2", "monet.jpg", 2),
        ("art/a=b.jpg=0.5", "art/a=b.jpg", 0.5),
        ("a=b.jpg", "a=b.jpg", 1),
        ("=2", "=2", 1),
    ],
)
def test_a_name_may_have_a_weight(text, path, weight):
    assert weighted_path(text) == (Path(path), weight)


def test_a_file_of_that_name_comes_first():
    Path("a=2").touch()
    assert weighted_path("a=2") == (Path("a=2"), 1)


def test_a_folder_stands_for_its_pictures():
    Path("art").mkdir()
    for name in ("b.JPG", "a.png", ".hidden.png", "notes.txt"):
        Path("art", name).touch()
    expected = [(Path("art/a.png"), 3), (Path("art/b.JPG"), 3), (Path("c.jpg"), 1)]
    assert style_files(["art=3", "c.jpg"]) == expected


def test_wrong_styles_are_refused():
    Path("empty").mkdir()
    with pytest.raises(UsageError, match="There is no picture in empty"):
        style_files(["empty"])
    for weight in ("0", "-1", "nan", "inf"):
        with pytest.raises(UsageError, match=r"weight of a.jpg must be above 0"):
            style_files([f"a.jpg={weight}"])
