"""Presets are other defaults: between the user's own and --config."""

from pathlib import Path

import pytest
from typer.main import get_command

from nstbatch.cli.main import app, run
from nstbatch.cli.options.preset import preset_table
from nstbatch.cli.parsing.invocation import invocation
from nstbatch.runtime.errors import UnknownNameError
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
from nstbatch.runtime.style.style_transfer_presets import PRESET_NAMES, PRESETS

PROGRAM = get_command(app)
FAST = PRESETS["fast"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def values(*words: str) -> dict:
    """Return the values that stylize gets."""
    words = ("a.jpg", "-s", "s.jpg", *words)
    with PROGRAM.make_context("nstbatch", ["stylize", *words]) as parent:
        command = PROGRAM.commands["stylize"]
        return dict(invocation(command.make_context("stylize", list(words), parent=parent)).values)


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_a_preset_sets_options_of_the_library(name):
    found = values("--preset", name)
    options = StyleTransferOptions.preset(name)
    assert {option: found[option] for option in PRESETS[name]} == dict(PRESETS[name])
    assert all(getattr(options, option) == value for option, value in PRESETS[name].items())


def test_what_is_given_wins_over_a_preset(monkeypatch):
    """The command line, then --config, then the preset, then the user's own defaults."""
    Path("mine.toml").write_text("size = 1\niterations = 1\nscales = 1\nseed = 1")
    Path("batch.toml").write_text("iterations = 2\nscales = 2")
    monkeypatch.setenv("NSTBATCH_DEFAULTS", "mine.toml")
    for words in (
        ("--preset", "fast", "--config", "batch.toml", "--scales", "9"),
        ("--scales", "9", "--config", "batch.toml", "--preset", "fast"),
    ):
        found = values(*words)
        assert found["size"] == FAST["size"]
        assert (found["iterations"], found["scales"], found["seed"]) == (2, 9, 1)
    assert StyleTransferOptions.preset("fast", size=64).size == 64


def test_a_file_may_choose_a_preset(monkeypatch):
    Path("mine.toml").write_text('[stylize]\npreset = "fast"')
    monkeypatch.setenv("NSTBATCH_DEFAULTS", "mine.toml")
    assert values()["iterations"] == FAST["iterations"]
    assert values("--preset", "default")["iterations"] == 200
    Path("batch.toml").write_text('preset = "fine"\nscales = 2')
    found = values("--config", "batch.toml")
    assert (found["iterations"], found["scales"]) == (PRESETS["fine"]["iterations"], 2)


def test_options_beside_a_preset_in_the_users_defaults_win_over_it(monkeypatch):
    Path("mine.toml").write_text('size = 64\n[stylize]\npreset = "fast"\niterations = 2')
    monkeypatch.setenv("NSTBATCH_DEFAULTS", "mine.toml")
    found = values()
    assert (found["size"], found["iterations"]) == (64, 2)
    assert found["scales"] == FAST["scales"]
    assert values("--preset", "fast")["size"] == FAST["size"]
    Path("batch.toml").write_text('preset = "fine"')
    assert values("--config", "batch.toml")["size"] == PRESETS["fine"]["size"]


def test_an_unknown_preset_is_refused_with_the_names_of_all():
    with pytest.raises(UnknownNameError, match="fast, default, fine"):
        values("--preset", "fsat")
    with pytest.raises(UnknownNameError, match="Did you mean 'fast'"):
        StyleTransferOptions.preset("fsat")


def test_the_table_shows_every_option_that_a_preset_changes(capsys):
    assert run(["stylize", "--preset-table"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [*preset_table(), "", "With --method nnst:", *preset_table("nnst")]
    lines = lines[: lines.index("")]
    assert lines[0].split() == ["option", *PRESET_NAMES]
    named = (line.split() for line in lines[1:])
    rows = {name.removeprefix("--").replace("-", "_"): shown for name, *shown in named}
    assert rows.keys() == {option for preset in PRESETS.values() for option in preset}
    options = map(StyleTransferOptions.preset, PRESET_NAMES)
    assert rows["iterations"] == [str(each.iterations) for each in options]
