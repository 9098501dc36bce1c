"""--help shows what most people use, --help-all everything."""

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from nstbatch.cli.main import app
from nstbatch.cli.parsing.short_help import COMMON

PROGRAM = get_command(app)
BATCHES = ("stylize", "texture", "reconstruct", "deconv", "dream")


def shown(verb: str, option: str) -> set[str]:
    """The long names of the options in a help."""
    result = CliRunner().invoke(app, [verb, option], terminal_width=200)
    assert result.exit_code == 0
    words = {word for line in result.output.splitlines() for word in line.split()[:3]}
    known = {name for each in PROGRAM.commands[verb].params for name in each.opts}
    return {word for word in words if word.startswith("--")} & known


def options(verb: str) -> dict[str, str]:
    """The long names of a verb's options, by their names in its function."""
    params = PROGRAM.commands[verb].params
    return {each.name: max(each.opts, key=len) for each in params if each.opts[0].startswith("-")}


@pytest.mark.parametrize("verb", BATCHES)
def test_the_help_is_short_and_the_other_complete(verb):
    known = options(verb)
    common = {name for key, name in known.items() if key in COMMON} | {"--help-all"}
    assert shown(verb, "--help") == common
    assert len(common) <= 24
    assert shown(verb, "--help-all") == set(known.values())
    assert shown(verb, "--help") == common  # nothing stays as it was shown before


def test_every_common_option_is_one():
    assert {key for verb in BATCHES for key in options(verb)} >= COMMON


def test_other_commands_have_one_help():
    assert "--help-all" not in options("doctor").values()
    result = CliRunner().invoke(app, ["doctor", "--help-all"])
    assert result.exit_code == 2
