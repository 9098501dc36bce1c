"""One picture: ``-o result.jpg``, and ``-`` for the standard streams."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from nstbatch.cli.main import run

QUICK = ("--model", "squeezenet1_1", "--size", "48", "--iterations", "1", "--device", "cpu")
STYLIZE = ("stylize", "-s", "style.png", "--scales", "1", *QUICK)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.radial_gradient("L").convert("RGB").resize((48, 48)).save("style.png")
    for name in ("a.jpg", "photos/b.jpg", "photos/c.jpg"):
        Path(name).parent.mkdir(exist_ok=True)
        Image.linear_gradient("L").convert("RGB").resize((80, 72)).save(name)
    return tmp_path


@pytest.fixture
def pipe(monkeypatch):
    """A function that puts bytes on standard input."""

    def put(data: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))

    return put


def names(folder: str = ".") -> set[str]:
    return {path.name for path in Path(folder).iterdir()}


def format_of(data: bytes | Path) -> str | None:
    with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as picture:
        return picture.format


# --- A file ------------------------------------------------------------------------------------


def test_a_file_is_written_and_nothing_beside_it_but_a_hidden_ledger(capsys):
    before = names()
    assert run([*STYLIZE, "a.jpg", "-o", "result.png"]) == 0
    assert capsys.readouterr().out == "result.png\n"
    assert names() - before == {"result.png", ".nstbatch.jsonl"}
    assert format_of(Path("result.png")) == "PNG"
    # Again, with other settings, and as a photo: as in an output folder.
    assert run([*STYLIZE, "a.jpg", "-o", "result.png"]) == 0
    assert "already there" in capsys.readouterr().err
    assert run([*STYLIZE, "a.jpg", "-o", "result.png", "--seed", "3"]) == 2
    assert "made with another --seed (0, now 3)" in capsys.readouterr().err
    assert run([*STYLIZE, "a.jpg", "-o", "result.png", "--seed", "3", "--overwrite"]) == 0
    assert run([*STYLIZE, ".", "-o", "all", "--exclude", "style.png"]) == 0
    assert sorted(names("all")) == ["a.jpg", "nstbatch.jsonl", "nstbatch.toml"]


def test_its_recipe_has_its_format(capsys):
    assert run([*STYLIZE, "a.jpg", "-o", "deep/result.webp", "--seed", "7"]) == 0
    assert run(["recipe", "deep/result.webp"]) == 0
    words = capsys.readouterr().out.split("nstbatch ")[1].split()
    assert run([*words, "-o", "again"]) == 0
    assert Path("again/a.webp").read_bytes() == Path("deep/result.webp").read_bytes()


def test_a_file_that_is_not_ours_is_not_overwritten(capsys):
    Path("mine.jpg").write_bytes(Path("a.jpg").read_bytes())
    before = Path("mine.jpg").read_bytes()
    for options in ((), ("--dry-run",)):
        assert run([*STYLIZE, "a.jpg", "-o", "mine.jpg", *options]) == 2
        err = capsys.readouterr().err
        assert "mine.jpg is there already, and was not made by an earlier run" in err
    assert run([*STYLIZE, "a.jpg", "-o", "a.jpg", "--overwrite"]) == 2
    err = capsys.readouterr().err
    assert "a.jpg would overwrite an input file\nChoose another name with --out." in err
    assert Path("mine.jpg").read_bytes() == before
    assert run([*STYLIZE, "a.jpg", "-o", "mine.jpg", "--overwrite"]) == 0
    assert Path("mine.jpg").read_bytes() != before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["photos", "-o", "x.jpg"], "x.jpg is the name of one picture, and there are 2 to make"),
        (["a.jpg", "-o", "x.bmp"], "x.bmp cannot be written: as the name of a picture, --out may"),
        (["a.jpg", "-o", "x.jpg", "--format", "png"], "--format png and --out x.jpg exclude"),
        (["a.jpg", "-o", "x.jpg", "--name", "y"], "--name does not go with the one picture"),
        (["a.jpg", "-o", "x.jpg", "--report"], "--report does not go with the one picture"),
        (["a.jpg", "-o", "-", "--json"], "--json does not go with the one picture of --out -"),
        (["a.jpg", "-o", "-", "--dry-run"], "--dry-run does not go with"),
        (["a.jpg", "-o", "-", "-0"], "--null does not go with"),
        (["a.jpg", "-o", "-", "--snapshots", "2"], "--snapshots does not go with"),
        (["photos", "-o", "-"], "is the name of one picture, and there are 2 to make"),
        (["-", "--from-file", "-"], "Standard input is either a picture or the list"),
        ([], "Name photos or folders of photos"),
    ],
)
def test_what_does_not_go_with_it_is_told(words, message, capsys):
    assert run([*STYLIZE, *words]) == 2
    assert message in capsys.readouterr().err
    assert not Path("x.jpg").exists()


def test_a_folder_with_such_a_name_is_a_folder():
    Path("old.jpg").mkdir()
    assert run([*STYLIZE, "a.jpg", "-o", "old.jpg"]) == 0
    assert Path("old.jpg/a.jpg").is_file()


def test_other_verbs(pipe, capsys):
    pipe(b"")
    assert run(["texture", "a.jpg", "-o", "t.jpg", "--scales", "1", *QUICK]) == 0
    assert format_of(Path("t.jpg")) == "JPEG"
    assert run(["texture", "a.jpg", "-o", "u.jpg", "--variations", "2", *QUICK]) == 2
    assert "there are 2 to make" in capsys.readouterr().err
    assert run(["reconstruct", "a.jpg", "-o", "r.png", "--layers", "conv1", *QUICK]) == 0
    assert run(["dream", "--class", "tabby", "-o", "d.png", *QUICK]) == 0
    assert run(["dream", "--class", "tabby,toucan", "-o", "e.png", *QUICK]) == 2
    made = {".nstbatch.jsonl", "t.jpg", "r.png", "d.png"}
    assert names() == {"a.jpg", "photos", "style.png"} | made
    for words in (
        ["deconv", "a.jpg", "-o", "s.png", "-l", "conv1"],
        ["deconv", "-", "-l", "conv1"],
    ):
        assert run(words) == 2
    assert run(["dream", "a.jpg", "--frames", "2", "-o", "f.png", *QUICK]) == 2
    err = capsys.readouterr().err
    assert err.count("deconv makes many sheets from many photos") == 2
    assert "A film has its frames beside it" in err


# --- Streams -----------------------------------------------------------------------------------


def test_from_standard_input_to_standard_output(folder):
    program = [sys.executable, "-m", "nstbatch"]
    command = [*program, *STYLIZE, "-", "-o", "-", "--format", "jpg"]
    done = subprocess.run(
        command, input=Path("a.jpg").read_bytes(), capture_output=True, timeout=60, check=True
    )
    assert format_of(done.stdout) == "JPEG"
    assert b"done - -> - (" in done.stderr
    assert not Path("stylized").exists()
    # The same picture as from a file, but for its recipe.
    assert run([*STYLIZE, "a.jpg", "--format", "jpg", "--strip"]) == 0
    with Image.open(io.BytesIO(done.stdout)) as one, Image.open("stylized/a.jpg") as other:
        assert one.tobytes() == other.tobytes()


def test_one_of_the_streams(pipe, capsysbinary):
    pipe(Path("a.jpg").read_bytes())
    assert run([*STYLIZE, "-", "--json"]) == 0
    record = json.loads(capsysbinary.readouterr().out)
    assert (record["input"], record["output"]) == ("-", str(Path("stylized/stdin.png")))
    pipe(Path("a.jpg").read_bytes())
    assert run([*STYLIZE, "-", "photos/b.jpg"]) == 0
    assert b"stdin.png: The picture is already there" not in capsysbinary.readouterr().out
    assert run(["recipe", "stylized/stdin.png"]) == 0
    assert capsysbinary.readouterr().out.endswith(b" -\n")
    for words in (STYLIZE, ("texture", "--scales", "1", *QUICK), ("dream", *QUICK)):
        assert run([*words, "a.jpg", "-o", "-"]) == 0
        assert format_of(capsysbinary.readouterr().out) == "PNG"


def test_what_fails_leaves_standard_output_empty(pipe, capsysbinary):
    pipe(b"")
    assert run([*STYLIZE, "-", "-o", "-"]) == 1
    out, err = capsysbinary.readouterr()
    assert out == b""
    assert b"failed -: The file is empty" in err
    assert b"to go on" not in err


def test_terminals_are_refused(pipe, monkeypatch, capsys):
    pipe(b"")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert run([*STYLIZE, "-"]) == 2
    assert "Standard input is a terminal: pipe a picture into it" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert run([*STYLIZE, "a.jpg", "-o", "-"]) == 2
    assert "Standard output is a terminal" in capsys.readouterr().err
