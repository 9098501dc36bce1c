"""``nstbatch retry``: the commands of the ledger again, for the failed pictures only."""

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from nstbatch.cli.main import run
from nstbatch.runtime.pictures import images

QUICK = ("--model", "squeezenet1_1", "--size", "48", "--iterations", "1", "--scales", "1")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """``work/photos`` with a good photo and a bad one, and a style."""
    monkeypatch.chdir(tmp_path)
    Path("work/photos").mkdir(parents=True)
    monkeypatch.chdir("work")
    Image.radial_gradient("L").convert("RGB").resize((64, 64)).save("style.png")
    good("a")
    Path("photos/b.png").touch()
    return tmp_path


def good(name: str) -> None:
    Image.linear_gradient("L").convert("RGB").resize((64, 48)).save(f"photos/{name}.png")


def stylize(*options: str) -> int:
    words = ["stylize", "photos", "-s", "style.png", *QUICK, "--device", "cpu", "--threads", "1"]
    return run([*words, *options])


def lines(out: str = "stylized") -> list[dict]:
    return [json.loads(line) for line in Path(out, "nstbatch.jsonl").read_text().splitlines()]


def test_failed_pictures_are_painted_from_any_folder(folder, monkeypatch, capsys):
    assert stylize() == 1
    before = Path("stylized/a.png").stat().st_mtime_ns
    assert run(["retry", "stylized"]) == 1
    assert "failed photos/b.png: The file is empty" in capsys.readouterr().err
    good("b")
    good("c")  # was not part of it
    monkeypatch.chdir("/")
    assert run(["retry", str(folder / "work/stylized")]) == 0
    assert Path.cwd() == Path("/")
    monkeypatch.chdir(folder / "work")
    assert images.read("stylized/b.png").pixels.shape == (36, 48, 3)
    assert not Path("stylized/c.png").exists()
    assert Path("stylized/a.png").stat().st_mtime_ns == before
    runs = [line["command"] for line in lines() if line["kind"] == "run"]
    assert len(runs) == 3
    assert runs[0] == runs[1] == runs[2]  # not longer with every retry
    assert stylize() == 0
    capsys.readouterr()
    assert run(["retry", "stylized"]) == 0
    assert capsys.readouterr().err == "Nothing has failed in stylized.\n"


def test_nothing_is_painted_in_another_style_than_the_rest(capsys):
    assert stylize() == 1
    good("b")
    Image.new("RGB", (64, 64), "red").save("style.png")
    assert run(["retry", "stylized"]) == 1
    assert (
        "photos/b.png is not retried: the file given as --style has changed"
        in capsys.readouterr().err
    )
    assert not Path("stylized/b.png").exists()


def test_a_folder_that_was_moved(capsys):
    assert stylize() == 1
    good("b")
    Path("stylized").rename("elsewhere")
    assert run(["retry", "elsewhere"]) == 0
    assert Path("elsewhere/b.png").is_file()
    assert not Path("stylized").exists()


def test_failures_of_several_commands_get_the_settings_of_each(capsys):
    assert stylize() == 1
    Path("more").mkdir()
    Path("more/d.png").touch()
    words = ["stylize", "more", "-s", "style.png", *QUICK, "--size", "64", "--device", "cpu"]
    assert run(words) == 1
    good("b")
    Path("more/d.png").write_bytes(Path("photos/b.png").read_bytes())
    assert run(["retry", "stylized"]) == 0
    assert images.read("stylized/b.png").pixels.shape == (36, 48, 3)
    assert images.read("stylized/d.png").pixels.shape == (48, 64, 3)


def test_a_photo_that_is_gone_is_said_to_be(capsys):
    assert stylize() == 1
    Path("photos/b.png").unlink()
    assert run(["retry", "stylized"]) == 1
    assert "The photo of " in capsys.readouterr().err


def test_a_folder_that_the_command_was_called_in_is_gone(folder, monkeypatch, capsys):
    assert stylize("-o", str(folder / "out")) == 1
    monkeypatch.chdir(folder)
    Path("work").rename("moved")
    assert run(["retry", "out"]) == 1
    assert "No such file or directory" in capsys.readouterr().err


@pytest.mark.parametrize("out", ["photos", "gone"])
def test_a_folder_without_a_ledger_is_wrong_usage(out, capsys):
    assert run(["retry", out]) == 2
    assert f"{out} is not the output folder of a batch" in capsys.readouterr().err


def test_a_run_that_the_ledger_does_not_know_is_told(capsys):
    assert stylize() == 1
    path = Path("stylized/nstbatch.jsonl")
    kept = [line for line in path.read_text().splitlines() if '"kind": "image"' in line]
    path.write_text("".join(f"{line}\n" for line in kept))
    assert run(["retry", "stylized"]) == 1
    assert "photos/b.png is not retried: the ledger lacks its command" in capsys.readouterr().err


def test_words_of_another_program_are_not_called():
    assert stylize() == 1
    path = Path("stylized/nstbatch.jsonl")
    path.write_text(path.read_text().replace('["nstbatch", "stylize"', '["rm", "stylize"'))
    assert run(["retry", "stylized"]) == 1


def test_changed_defaults_do_not_make_other_pictures(folder, monkeypatch, capsys):
    defaults = folder / "defaults.toml"
    monkeypatch.setenv("NSTBATCH_DEFAULTS", str(defaults))
    defaults.write_text("seed = 1")
    assert stylize() == 1
    good("b")
    defaults.write_text("seed = 2")
    assert run(["retry", "stylized"]) == 1
    assert "Not made again: --seed would have another value" in capsys.readouterr().err
    assert not Path("stylized/b.png").exists()
    defaults.write_text("seed = 1")
    assert run(["retry", "stylized"]) == 0


def test_what_came_through_a_pipe_cannot_be_read_again(folder, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"photos/b.png\n")))
    words = ["stylize", "--from-file", "-", "-s", "style.png", *QUICK, "--device", "cpu"]
    assert run(words) == 1
    good("b")
    assert run(["retry", "stylized"]) == 1
    assert "read standard input, which cannot be read again" in capsys.readouterr().err
