"""How a command was called, with all its options, whoever adds one."""

import inspect
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.main import get_command

from nstbatch.cli.jobs.invocation import Call, Invocation
from nstbatch.cli.main import app, run
from nstbatch.cli.parsing.invocation import as_json, invocation
from nstbatch.cli.verbs import batch_verb


@pytest.fixture
def called(monkeypatch):
    """What ``stylize`` has seen of its own call."""
    seen = []

    def look(options):
        seen.append(options)
        raise typer.Exit

    monkeypatch.setattr(batch_verb, "invocation", lambda context: look(invocation(context)))
    return seen


def test_all_options_come_along_under_their_long_names(called):
    words = ["stylize", "photos", "--style", "monet.jpg", "--tv-weight", "3", "-n", "7", "-r"]
    assert run(words) == 0
    (found,) = called
    stylize: Any = get_command(app).commands["stylize"]
    options = {option for p in stylize.params for option in p.opts if option[:2] == "--"}
    assert {f"--{name.replace('_', '-')}" for name in found.settings} == options - {
        "--help",
        "--help-all",
        "--config",
    }
    assert found.verb == "stylize"
    assert found.settings["style"] == ["monet.jpg"]
    assert found.settings["tv_weight"] == 3.0
    assert found.settings["iterations"] == 7
    assert found.settings["recursive"] is True
    assert found.settings["out"] == "stylized"
    assert found.command == found.resume == ["nstbatch", *words]


def test_a_call_by_another_verb_goes_on_with_that_verb(called):
    words = ("stylize", "photos", "--style", "monet.jpg")
    run([*words, "--out", "elsewhere"], Call(words, frozenset({"a.jpg"}), ("retry", "elsewhere")))
    (found,) = called
    assert found.command == ["nstbatch", *words]
    assert found.resume == ["nstbatch", "retry", "elsewhere"]
    assert found.settings["out"] == "elsewhere"


def test_a_program_of_its_own_has_no_call():
    seen = []
    program = typer.Typer()

    @program.command()
    def paint(context: typer.Context, size: Annotated[int, typer.Option()] = 3) -> None:
        seen.append(invocation(context))

    program(args=[], standalone_mode=False)
    assert seen == [Invocation("paint", {"size": 3}, Call(()))]


def test_values_are_what_json_has():
    value = (Path("a") / "b", [1, 2.5], None, "x", True)
    assert as_json(value) == ["a/b", [1, 2.5], None, "x", True]


def test_every_verb_that_paints_a_batch_keeps_how_it_was_called():
    """Without its context a verb's options would be missing from fingerprints and the ledger."""
    commands: dict[str, Any] = get_command(app).commands
    for name, command in commands.items():
        if any("--fail-fast" in parameter.opts for parameter in command.params):
            assert "context" in inspect.signature(command.callback).parameters, name
