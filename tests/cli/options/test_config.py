import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from nstbatch.cli.jobs.invocation import SAVED
from nstbatch.cli.main import app
from nstbatch.cli.output import settings_file
from nstbatch.cli.parsing.invocation import invocation
from nstbatch.runtime.errors import UnknownNameError, UsageError

STYLIZE = get_command(app).commands["stylize"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str):
    return invocation(STYLIZE.make_context("stylize", list(arguments)))


def settings(text: str, *arguments: str, path: str = "batch.toml") -> dict:
    """What a file and the rest of the command line come to."""
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")
    return dict(run("--config", path, *arguments).values)


def test_a_file_holds_any_options_and_the_inputs():
    found = settings(
        """
        inputs = ["photos"]
        style = "s.jpg"
        size = 64
        tv-weight = 3
        style_weight = 2.5
        style-layers = ["relu1_1=2", "relu2_1"]
        content-layers = "relu3_1"
        recursive = true
        json = true
        """
    )
    assert found["inputs"] == ["photos"]
    assert (found["size"], found["tv_weight"], found["style_weight"]) == (64, 3.0, 2.5)
    assert found["style_layers"] == ["relu1_1=2", "relu2_1"]
    assert found["content_layers"] == ["relu3_1"]
    assert (found["recursive"], found["json"], found["overwrite"]) == (True, True, False)
    assert found["seed"] == 0  # untouched


def test_the_command_line_comes_first():
    file = 'inputs = ["photos"]\nstyle = "s.jpg"\nsize = 64'
    found = settings(file, "other.jpg", "--size", "128")
    assert (found["inputs"], found["size"], found["style"]) == (["other.jpg"], 128, ["s.jpg"])


def test_paths_start_from_the_file(folder):
    Path("there").mkdir()
    Path("there/start").touch()
    found = settings(
        f"""
        inputs = ["photos", "{(folder / "far.jpg").as_posix()}"]
        style = "../s.jpg"
        out = "."
        init = "start"
        model = "./own"
        """,
        path="there/batch.toml",
    )
    assert found["inputs"] == [str(Path("there/photos")), str(folder / "far.jpg")]
    assert (found["style"], found["out"]) == (["s.jpg"], "there")
    assert (found["init"], found["model"]) == (str(Path("there/start")), str(Path("there/own")))
    found = settings('inputs = ["a"]\nstyle = "s"\ninit = "noise"', path="there/batch.toml")
    assert (found["init"], found["model"]) == ("noise", "vgg16")


def test_an_unknown_option_suggests_the_right_one():
    with pytest.raises(UnknownNameError, match=r"'stile_weight'\. Did you mean 'style_weight'\?"):
        settings("stile_weight = 2")
    with pytest.raises(UnknownNameError, match="'config'"):
        settings('config = "other.toml"')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("size = true", "'size' should be a text or a number, not True"),
        ("recursive = 1", "'recursive' should be true or false, not 1"),
        ('recursive = "yes"', "'recursive' should be true or false"),
        ("size = [1, 2]", "'size' should be a text or a number"),
        ("style_layers = [true]", "'style_layers' should be a text or a number"),
        ("[style_layers]\nrelu1_1 = 2", "'style_layers' should be a text or a number"),
        ("size = 2026-11-24", "'size' should be a text or a number"),
        ("tv-weight = 1\ntv_weight = 2", "'tv_weight' twice"),
        ("size = ", "is not TOML"),
    ],
)
def test_bad_values_say_where(text, message):
    with pytest.raises(UsageError, match=message) as caught:
        settings(text)
    assert "batch.toml" in str(caught.value)


@pytest.mark.parametrize("text", ['size = "big"', "size = 64.5", "quality = 101"])
def test_a_value_that_the_command_line_would_refuse(text):
    with pytest.raises(Exception, match=r"no number of pixels|equal to 100") as caught:
        settings(f'inputs = ["a"]\nstyle = "s"\n{text}')
    assert type(caught.value).__name__ == "BadParameter"


def test_a_file_that_cannot_be_read(folder):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        run("--config", "missing.toml")
    Path("bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="is not TOML"):
        run("--config", "bytes.toml")


# --- Saving -----------------------------------------------------------------------------------


def test_what_is_saved_is_the_same_run(folder):
    Path("out/deep").mkdir(parents=True)
    line = ["photos", "<img src=x onerror=alert(1)>.jpg", "new\nline.jpg", str(folder / "far.jpg")]
    line += ["-s", "art/s.jpg", "-o", "out/deep", "--init", "noise", "--style-layers", "a=2,b"]
    line += ["-r", "--name", "{stem}", "--learning-rate", "1e-05", "--seed", "7"]
    before = run(*line)
    settings_file.save(before, Path("out/deep"))
    saved = tomllib.loads(Path("out/deep/nstbatch.toml").read_text(encoding="utf-8"))
    assert saved["inputs"][0] == "../../photos"
    assert (saved["out"], saved["init"]) == (".", "noise")
    after = run("--config", "out/deep/nstbatch.toml")
    far = before.values["inputs"][-1]
    same = {"inputs": [*after.values["inputs"][:-1], far], "no_defaults": False}
    assert after.values | same == before.values
    assert Path(after.values["inputs"][-1]).absolute() == Path(far)


def test_what_was_meant_for_one_call_is_not_saved(folder):
    settings_file.save(
        run("photos", "-s", "s.jpg", "--overwrite", "--quiet", "--json", "-r"), folder
    )
    saved = tomllib.loads(Path("nstbatch.toml").read_text(encoding="utf-8"))
    assert saved["recursive"]
    assert not {"overwrite", "quiet", "json"} & set(saved)


def test_it_also_works_from_another_folder(folder, monkeypatch):
    Path("out").mkdir()
    settings_file.save(run("photos", "-s", "s.jpg", "-o", "out"), Path("out"))
    Path("else").mkdir()
    monkeypatch.chdir(folder / "else")
    found = run("--config", "../out/nstbatch.toml").values
    assert (found["inputs"], found["style"]) == (["../photos"], ["../s.jpg"])


def test_a_name_that_is_not_utf_8_is_left_out_and_the_rest_is_saved(folder, caplog):
    settings_file.save(run("a\udcff.jpg", "b.jpg", "-s", "s.jpg", "--seed", "3"), folder)
    text = (folder / SAVED).read_text(encoding="utf-8")
    assert r"# inputs is left out, because TOML cannot hold a file name that is not UTF-8" in text
    assert r"a\udcff.jpg b.jpg" in text
    assert "nstbatch.toml: inputs is left out" in caplog.text
    saved = tomllib.loads(text)
    assert "inputs" not in saved
    assert (saved["style"], saved["seed"]) == (["s.jpg"], 3)
    found = run("b.jpg", "--config", SAVED).values
    assert (found["style"], found["seed"]) == (["s.jpg"], 3)


def test_a_style_whose_name_is_not_utf_8_is_named(folder, caplog):
    settings_file.save(run("a.jpg", "-s", "s\udce9.jpg"), folder)
    assert "nstbatch.toml: style is left out" in caplog.text
    saved = tomllib.loads((folder / SAVED).read_text(encoding="utf-8"))
    assert ("style" in saved, saved["inputs"]) == (False, ["a.jpg"])
