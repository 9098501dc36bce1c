"""Which protocol a terminal has: each test asks from a process of its own, within a terminal."""

import sys

import pytest

if sys.platform == "win32":
    pytest.skip("terminals of Unix", allow_module_level=True)

from terminal import Terminal, run

KITTY = {"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\": "\x1b_Gi=31;OK\x1b\\"}
NAME, CELL, KIND = "\x1b[>0q", "\x1b[16t", "\x1b[c"
XTERM = {KIND: "\x1b[?65;1;9c"}
SIXEL = {KIND: "\x1b[?65;4;1c"}
PROGRAM = """
from nstbatch.cli.console import terminal_query
terminal_query.SECONDS = {seconds}
print(terminal_query.terminal())
"""
CLEAN = {"TERM": "xterm-256color", "TERM_PROGRAM": "", "LC_TERMINAL": "", "TMUX": "", "STY": ""}


def asked(answers: dict[str, str], seconds: float = 300, **environment: str) -> str:
    """What is printed by a process that waits so long; a machine may be slow."""
    terminal = Terminal(answers=answers)
    assert run(["-c", PROGRAM.format(seconds=seconds)], terminal, CLEAN | environment) == 0
    return "".join(terminal.lines)


@pytest.mark.parametrize(
    ("answers", "environment", "found"),
    [
        (KITTY | SIXEL, {}, "'kitty'"),
        (SIXEL | {CELL: "\x1b[6;36;17t"}, {}, "'sixel'>, cell=(36, 17)"),
        (SIXEL | {CELL: "\x1b[6;0;0t"}, {}, "'sixel'>, cell=(20, 10)"),
        (SIXEL | {NAME: "\x1bP>|iTerm2 3.6.1\x1b\\"}, {}, "'iterm2'"),
        (XTERM, {"LC_TERMINAL": "iTerm2"}, "'iterm2'"),
        (XTERM | {NAME: "\x1bP>|XTerm(401)\x1b\\"}, {}, "protocol=None"),
        (KITTY | SIXEL, {"TERM_PROGRAM": "Apple_Terminal"}, "protocol=None"),
        (KITTY | XTERM, {"TERM": "tmux-256color", "LC_TERMINAL": "iTerm2"}, "multiplexer='tmux'"),
        (KITTY | XTERM, {"TERM": "screen", "LC_TERMINAL": "iTerm2"}, "multiplexer='screen'"),
        (SIXEL, {"TMUX": "/tmp/tmux"}, "'sixel'"),
    ],
)
def test_the_terminal_tells(answers, environment, found):
    told = asked(answers, **environment)
    assert found in told
    if "multiplexer='t" in found or "multiplexer='s" in found:
        assert "protocol=None" in told


def test_a_terminal_that_does_not_answer_shows_no_pictures():
    assert "protocol=None, cell=(20, 10)" in asked({}, seconds=0.2)
