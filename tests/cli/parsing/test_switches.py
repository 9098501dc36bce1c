"""The help shows no value for switches, and its lines fit a terminal of 80 columns."""

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from nstbatch.cli.main import app

VERBS = ["", *get_command(app).commands, "bench compare"]


@pytest.mark.parametrize("verb", VERBS)
def test_a_switch_has_no_value(verb):
    result = CliRunner().invoke(app, [*verb.split(), "--help"], terminal_width=200)
    assert result.exit_code == 0
    assert "--help" in result.output
    assert "<bool>" not in result.output


@pytest.mark.parametrize("verb", VERBS)
def test_no_line_below_the_summary_breaks_at_80_columns(verb):
    """Typer breaks a line that is too long, and leaves its last word alone on the next one."""
    command = get_command(app)
    for word in verb.split():
        command = command.commands[word]
    _, *lines = command.help.splitlines()
    assert [line for line in lines if len(line) > 78] == []
