import inspect
import shlex
import typing
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from nstbatch.cli.jobs.parameters import Scope, command_words, inputs_of, is_place
from nstbatch.cli.main import app
from nstbatch.cli.parsing.invocation import invocation
from nstbatch.cli.parsing.parameters import parameters

VERBS = {
    name: command
    for name, command in get_command(app).commands.items()
    if any(parameter.name == "config" for parameter in command.params)
}


def by_name(verb: str = "stylize") -> dict:
    return {parameter.name: parameter for parameter in parameters(VERBS[verb])}


@pytest.mark.parametrize("verb", VERBS)
def test_every_path_of_a_verb_is_known_as_one(verb):
    """They are told by what the help calls them, so a new word for a path has to be known."""
    hints = inspect.signature(VERBS[verb].callback).parameters
    for parameter in by_name(verb).values():
        hint = hints[parameter.key].annotation
        assert parameter.is_path == takes_path(hint), parameter.name


def takes_path(hint) -> bool:
    return hint is Path or any(map(takes_path, typing.get_args(hint)))


def test_names_are_the_long_ones():
    known = by_name()
    assert {"inputs", "style", "tv_weight", "format", "json"} <= set(known)
    assert known["json"].key == "as_json"
    assert known["tv_weight"].option == "--tv-weight"
    assert not {"config", "help", "help_all"} & set(known)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_with_settings_files_has_inputs(verb):
    assert inputs_of(parameters(VERBS[verb])) is not None


def test_other_verbs_have_none():
    assert inputs_of(parameters(get_command(app).commands["export"])) is None


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_declares_its_scope(verb):
    for name, parameter in inspect.signature(VERBS[verb].callback).parameters.items():
        marks = [mark for mark in typing.get_args(parameter.annotation) if isinstance(mark, Scope)]
        assert len(marks) == 1 or name == "context", name


SCOPES = {
    Scope.CALL: "overwrite dry_run json quiet verbose report watch_progress watch_port preset "
    "preset_table preview preview_as",
    Scope.BATCH: "out recursive fail_fast from_file null include exclude snapshots jobs gpus "
    "engine address",
    Scope.MAKING: "model device precision threads tile_size memory batch format name variations "
    "class no_defaults max_pixels each_style",
}


@pytest.mark.parametrize("verb", sorted(VERBS.keys() - {"deconv"}))
def test_all_other_options_shape_the_picture(verb):
    declared = {name: scope for scope, names in SCOPES.items() for name in names.split()}
    for name, parameter in by_name(verb).items():
        assert parameter.scope is declared.get(name, Scope.PICTURE), name


def test_options_that_choose_sheets_do_not_shape_them():
    known = by_name("deconv")
    scopes = {name: known[name].scope for name in ("layer", "filters", "rule", "size")}
    assert scopes == {
        "layer": Scope.MAKING,
        "filters": Scope.MAKING,
        "rule": Scope.PICTURE,
        "size": Scope.PICTURE,
    }


def run(*arguments: str):
    """The invocation that a command line leads to."""
    context = VERBS["stylize"].make_context("stylize", list(arguments))
    return invocation(typing.cast(typer.Context, context))


def test_settings_are_all_values_of_a_run():
    settings = run(
        "a.jpg", "b", "-s", "s.png", "--size", "64", "--style-layers", "x=2", "-q"
    ).values
    assert settings["inputs"] == ["a.jpg", "b"]
    assert settings["style"] == ["s.png"]
    assert (settings["size"], settings["seed"]) == (64, 0)
    assert settings["style_layers"] == ["x=2"]
    assert (settings["quiet"], settings["verbose"]) == (True, False)


@pytest.mark.parametrize(
    "line",
    [
        "a.jpg -s s.png",
        "a.jpg b.jpg --style s.png --size 64 --tv-weight 0.25 --recursive",
        "a.jpg -s s.png --style-layers x=2,y --style-layers z",
        "-s=-s.png -o 'an out' -- -a.jpg",
        "'<img src=x onerror=alert(1)>.jpg' -s $s.png --name '{stem} {index}'",
        "'new\nline.jpg' -s s.png --learning-rate 1e-5",
    ],
)
def test_a_command_of_the_same_settings(line):
    before = run(*shlex.split(line))
    words = command_words("stylize", before.parameters, before.values)
    assert words[:2] == ["nstbatch", "stylize"]
    after = run(*words[2:])
    assert after.values == before.values | {"no_defaults": True}
    assert len(words) <= 3 + len(shlex.split(line)) + 2  # a default is not spelled out


def test_words_that_may_be_paths(tmp_path):
    known = by_name()
    (tmp_path / "mine").touch()
    assert is_place(known["style"], "photo", tmp_path)
    assert not is_place(known["init"], "photo", tmp_path)
    assert is_place(known["init"], "mine", tmp_path)
    assert is_place(known["model"], "./own", tmp_path)
    assert not is_place(known["model"], "vgg16", tmp_path)
    assert not is_place(known["model"], "too long a name for a file" * 10, tmp_path)
    assert not is_place(known["device"], "a/b", tmp_path)
