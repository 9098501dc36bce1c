"""``nstbatch stylize --method nnst`` end to end: tiny pictures, few steps, AlexNet."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.main import get_command

from nstbatch.cli.jobs.invocation import Invocation
from nstbatch.cli.main import app, run
from nstbatch.cli.output.fingerprint import origin_of
from nstbatch.cli.parsing.invocation import invocation
from nstbatch.runtime.descent.checkpoints import CheckpointFile
from nstbatch.runtime.style.nearest_neighbor_options import NearestNeighborOptions
from nstbatch.runtime.style.nearest_neighbor_presets import PRESETS

PROGRAM = get_command(app)
NNST = ("--method", "nnst", "--model", "alexnet", "--device", "cpu")
QUICK = (*NNST, "--size", "64", "--iterations", "4", "--scales", "2")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NSTBATCH_HOME", str(tmp_path / "home"))
    Path("photos").mkdir()
    for seed, name in enumerate(("style.png", "photos/a.png", "photos/b.png")):
        colours = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(colours).resize((80, 60), Image.Resampling.BICUBIC).save(name)
    return tmp_path


def stylize(*words: str) -> int:
    return run(["stylize", "photos", "--style", "style.png", *words])


def called(*words: str) -> Invocation:
    words = ("photos", "-s", "style.png", *words)
    with PROGRAM.make_context("nstbatch", ["stylize", *words]) as parent:
        command = PROGRAM.commands["stylize"]
        return invocation(command.make_context("stylize", list(words), parent=parent))


def pixels(path: str) -> bytes:
    with Image.open(path) as picture:
        return picture.tobytes()


def test_a_batch_and_its_recipes_and_settings(capsys):
    assert stylize(*QUICK, "--json", "--stylization", "0.5", "--batch", "2") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["status"] for line in lines} == {"done"}
    assert lines[0]["losses"].keys() == {"matched-columns", "self-similarity", "total"}
    assert len(pixels("stylized/a.png")) == 64 * 48 * 3
    assert stylize(*QUICK, "--stylization", "0.5") == 0
    assert "2 already there" in capsys.readouterr().err

    assert run(["recipe", "stylized/a.png"]) == 0
    words = shlex.split(capsys.readouterr().out)
    assert words[words.index("--method") + 1] == "nnst"
    assert words[words.index("--stylization") + 1] == "0.5"
    assert run([*words[1:], "--device", "cpu", "--out", "again"]) == 0
    assert run(["stylize", "--config", "stylized/nstbatch.toml", "--out", "third"]) == 0
    assert pixels("again/a.png") == pixels("third/a.png")


def test_a_batch_that_is_killed_and_resumed_paints_the_same(monkeypatch):
    def stop(self, checkpoint):
        keep(self, checkpoint)
        if checkpoint().taken == 3:  # in the middle of the second size
            raise KeyboardInterrupt

    assert stylize(*QUICK, "--out", "whole") == 0
    keep = CheckpointFile.keep
    monkeypatch.setitem(CheckpointFile.__init__.__kwdefaults__, "every", 0)
    monkeypatch.setattr(CheckpointFile, "keep", stop)
    assert stylize(*QUICK) == 130
    assert list(Path("stylized").rglob("*.npz"))
    monkeypatch.setattr(CheckpointFile, "keep", keep)
    assert stylize(*QUICK) == 0
    for name in ("a.png", "b.png"):
        assert pixels(f"stylized/{name}") == pixels(f"whole/{name}")


def test_a_dry_run_paints_nothing_and_says_how_much_memory_it_takes(capsys):
    assert stylize(*QUICK, "--dry-run") == 0
    out, err = capsys.readouterr()
    assert "2 pictures" in out + err
    assert "memory" in (out + err).lower()
    assert not Path("stylized").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((*QUICK, "--optimizer", "lbfgs"), "--optimizer does not go with --method nnst"),
        ((*QUICK, "--error", "mse"), "--error does not go with --method nnst"),
        ((*QUICK, "--preset", "gatys"), "--preset gatys does not go with --method nnst"),
        ((*QUICK, "--style-weight", "3"), "--style-weight does not go with --method nnst"),
        ((*QUICK, "--tv-weight", "3"), "--tv-weight does not go with --method nnst"),
        ((*QUICK, "--content-layers", "relu1"), "--content-layers does not go with"),
        ((*QUICK, "--content-mask", "style.png"), "--content-mask does not go with"),
        ((*QUICK, "--style-layers", "relu1=2"), "--style-layers takes no weights"),
        (("--stylization", "0.1"), "--stylization goes only with --method nnst"),
        (("--method", "nnts"), "Did you mean 'nnst'"),
        ((*QUICK, "--stylization", "2"), "stylization must be a number from 0 to 1"),
    ],
)
def test_options_that_do_not_apply_are_named(words, message, capsys):
    assert stylize(*words) == 2
    assert message in capsys.readouterr().err


def test_without_the_method_a_fingerprint_is_what_it_was():
    """Neither new option is in it, and with the method both may be."""
    plain = origin_of(called(), {}, {}).settings
    assert not {"method", "stylization"} & plain.keys()
    changed = origin_of(called("--method", "nnst", "--stylization", "0.1"), {}, {}).settings
    assert (changed["method"], changed["stylization"]) == ("nnst", 0.1)
    assert {name: value for name, value in changed.items() if name in plain} == plain


@pytest.mark.parametrize("name", PRESETS)
def test_the_method_has_presets_of_its_own(name):
    options = NearestNeighborOptions.preset(name)
    for words in (("--method", "nnst", "--preset", name), ("--preset", name, "--method", "nnst")):
        found = called(*words).values
        assert all(found[option] == getattr(options, option) for option in PRESETS[name])
        assert found["init"] == options.init
    assert called("--preset", name, "--method", "nnst", "--scales", "2").values["scales"] == 2


def test_the_method_may_come_from_a_file(monkeypatch):
    Path("mine.toml").write_text('[stylize]\nmethod = "nnst"\npreset = "fine"')
    monkeypatch.setenv("NSTBATCH_DEFAULTS", "mine.toml")
    assert called().values["iterations"] == PRESETS["fine"]["iterations"]
    assert called("--preset", "fast").values["iterations"] == PRESETS["fast"]["iterations"]
