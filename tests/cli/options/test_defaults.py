"""The user's own defaults, below --config and the command line."""

import os
from pathlib import Path

import pytest
from typer.main import get_command

from nstbatch.cli.jobs.parameters import command_words
from nstbatch.cli.main import app, run
from nstbatch.cli.options import defaults
from nstbatch.cli.options.defaults import defaults_file
from nstbatch.cli.output import settings_file
from nstbatch.cli.parsing.invocation import invocation
from nstbatch.runtime import user_folders
from nstbatch.runtime.errors import UnknownNameError, UsageError

PROGRAM = get_command(app)
WORDS = ("a.jpg", "-s", "s.jpg")


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch) -> Path:
    """The user's file, which is not there yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NSTBATCH_DEFAULTS", str(tmp_path / "mine" / "defaults.toml"))
    Path("mine").mkdir()
    return tmp_path / "mine" / "defaults.toml"


def values(*words: str, verb: str = "stylize") -> dict:
    """Return the values that a verb of the program gets."""
    command = PROGRAM.commands[verb]
    with PROGRAM.make_context("nstbatch", [verb, *words]) as parent:
        return dict(invocation(command.make_context(verb, list(words), parent=parent)).values)


def test_the_top_is_for_all_verbs_and_a_section_for_one(file):
    file.write_text(
        """
        size = 1024
        exemplar-size = 300     # of texture only
        [stylize]
        size = 2048
        tv-weight = 3
        [texture]
        size = "64x32"
        """
    )
    found = values(*WORDS)
    assert (found["size"], found["tv_weight"]) == (2048, 3.0)
    assert values("a.jpg", verb="dream")["size"] == 1024
    assert values("a.jpg", verb="texture")["size"] == "64x32"
    assert values("a.jpg", verb="texture")["exemplar_size"] == 300


def test_the_command_line_wins_then_config_then_the_defaults(file):
    file.write_text("size = 1\nseed = 1\nscales = 1")
    Path("batch.toml").write_text("seed = 2\nscales = 2")
    for words in (
        ("--config", "batch.toml", "--scales", "3"),
        ("--scales", "3", "--config", "batch.toml"),
    ):
        found = values(*WORDS, *words)
        assert (found["size"], found["seed"], found["scales"]) == (1, 2, 3)


@pytest.mark.parametrize("order", [1, -1])
def test_they_can_be_switched_off(file, order):
    file.write_text("size = 1\nstile = 3")  # not even read
    Path("batch.toml").write_text("seed = 2")
    options = [["--no-defaults"], ["--config", "batch.toml"]][::order]
    found = values(*WORDS, *options[0], *options[1])
    assert (found["size"], found["seed"]) == (512, 2)


def test_what_a_batch_saves_and_a_recipe_do_not_depend_on_them(file):
    """Both leave out what has its built-in value: a quality, here."""
    file.touch()
    out = Path("out")
    out.mkdir()
    stylize = PROGRAM.commands["stylize"]
    before = invocation(stylize.make_context("stylize", [*WORDS]))
    settings_file.save(before, out)
    file.write_text("size = 64\nquality = 12\nseed = 5")
    after = values("--config", "out/nstbatch.toml")
    assert (after["size"], after["quality"], after["seed"]) == (512, None, 0)
    assert values(*WORDS)["quality"] == 12
    words = command_words("stylize", before.parameters, before.values)
    again = values(*words[2:])
    assert again == before.values | {"no_defaults": True}


def test_paths_start_from_the_file_or_from_home_but_for_the_output(file, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    file.write_text('out = "painted"\n[stylize]\nstyle = "~/monet.jpg"\ninit = "./start.jpg"')
    found = values("a.jpg")
    assert found["out"] == "painted"
    assert found["style"] == [os.path.normpath("/home/me/monet.jpg")]
    assert found["init"] == str(file.parent / "start.jpg")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("szie = 3", r"option in .*defaults\.toml: 'szie'\. Did you mean 'size'"),
        ("[stylise]\nsize = 3", r"section in .*'stylise'\. Did you mean 'stylize'"),
        ("[stylize]\noctaves = 3", r"option in .*'octaves'"),
        ("[stylize]\nsize = true", "'size' should be a text or a number"),
        ('inputs = ["a.jpg"]', "cannot have a default for 'inputs'"),
        ("no-defaults = true", "cannot have a default for 'no_defaults'"),
        ("size = ", "is not TOML"),
    ],
)
def test_faults_are_told_with_the_file(file, text, message):
    file.write_text(text)
    with pytest.raises((UsageError, UnknownNameError), match=message):
        values(*WORDS)


def test_options_of_other_verbs_are_no_fault(file):
    file.write_text("octaves = 3\n[dream]\noctaves = 5\n[export]\n")
    with pytest.raises(UnknownNameError, match="'export'"):
        values(*WORDS)
    file.write_text("octaves = 3\n[dream]\noctaves = 5\n")
    assert values(*WORDS)["size"] == 512
    assert values("a.jpg", verb="dream")["octaves"] == 5


def test_a_file_that_the_environment_names_has_to_be_there(file, monkeypatch):
    with pytest.raises(UsageError, match=r"defaults\.toml cannot be read"):
        values(*WORDS)
    monkeypatch.setenv("NSTBATCH_DEFAULTS", "")
    assert defaults_file() is None
    assert values(*WORDS)["size"] == 512


def test_the_file_in_the_users_folder_may_be_missing_or_out_of_reach(file, monkeypatch, tmp_path):
    monkeypatch.delenv("NSTBATCH_DEFAULTS")
    monkeypatch.setattr(defaults, "user_config", lambda: tmp_path / "mine")
    assert values(*WORDS)["size"] == 512
    file.write_text("size = 3")
    assert values(*WORDS)["size"] == 3

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)  # as in a HOME of somebody else, also for root
        assert values(*WORDS)["size"] == 512
    monkeypatch.setattr(defaults, "user_config", lambda: None)
    assert values(*WORDS)["size"] == 512


def test_the_folder_is_that_of_the_system(monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", "/there")
    found = user_folders.user_config()
    assert found is not None
    assert found.name == "nstbatch"


def test_dreams_of_classes_and_films_do_not_mind_defaults_for_photos(file, capsys):
    file.write_text('format = "webp"\n[dream]\noctaves = 3\nlayer = "pool3"\nname = "{stem}_x"')
    quick = ["--size", "48", "--iterations", "1", "--device", "cpu"]
    assert run(["dream", "--class", "cat", *quick, "--dry-run"]) in (0, 2)
    assert "--octaves" not in capsys.readouterr().err
    assert run(["dream", "--frames", "2", "--video", "gif", *quick, "--dry-run"]) == 0
    assert "noise.gif" in capsys.readouterr().out
