"""Asks the terminal whether it shows pictures, and how large its cells are."""

from __future__ import annotations

import os
import re
import select
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from .terminal_images import Protocol

TERMINAL = "/dev/tty"

SECONDS = 1.0
"""Longest wait for an answer; a guess for a slow connection. Nearly every terminal answers."""

DEFAULT_CELL = (20, 10)
"""Height and width of a cell in pixels, of a terminal that does not tell: that of the VT340."""

# A pixel as a question to which a terminal with kitty's protocol answers "OK". Then: name and
# version (XTVERSION); size of a cell (XTWINOPS); and kind of terminal (DA1), which all answer, so
# it comes last.
_KITTY, _NAME, _CELL, _KIND = (
    "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\",
    "\x1b[>0q",
    "\x1b[16t",
    "\x1b[c",
)
_KITTY_ANSWER = re.compile(r"\x1b_Gi=31;OK\x1b\\")
_NAME_ANSWER = re.compile(r"\x1bP>\|([^\x1b]*)\x1b\\")
_CELL_ANSWER = re.compile(r"\x1b\[6;(\d{1,4});(\d{1,4})t")
_KIND_ANSWER = re.compile(r"\x1b\[\?([\d;]*)c")
_SIXEL_KIND = "4"

# Terminals with iTerm2's protocol, by what they call themselves in $TERM_PROGRAM or
# $LC_TERMINAL, which ssh passes on.
_LIKE_ITERM2 = {"iTerm.app", "iTerm2", "WezTerm", "mintty"}
# They print the question about kitty's protocol instead of an answer.
_SILENT = {"Apple_Terminal"}


@dataclass(frozen=True)
class Terminal:
    """How a terminal shows pictures."""

    protocol: Protocol | None
    """None if it shows none."""
    cell: tuple[int, int] = DEFAULT_CELL
    """Height and width of a cell, in pixels."""
    multiplexer: str = ""
    """"tmux" or "screen" if one stands between this program and the terminal."""


def terminal(environment: Mapping[str, str] = os.environ) -> Terminal:
    """Ask the terminal of this process; takes a few milliseconds, and at most :data:`SECONDS`.

    Within tmux and screen only sixel is possible, and only if they pass it on: they say so
    themselves. They place no other pictures where the text is.
    """
    between = _multiplexer(environment)
    names = {environment.get("TERM_PROGRAM", ""), environment.get("LC_TERMINAL", "")}
    if names & _SILENT or environment.get("TERM") == "linux":
        return Terminal(None)
    answer = _ask((_CELL + _KIND) if between else (_KITTY + _NAME + _CELL + _KIND))
    return Terminal(_protocol(answer, set() if between else names), _cell(answer), between)


def _multiplexer(environment: Mapping[str, str]) -> str:
    kind = environment.get("TERM", "").partition("-")[0]
    if environment.get("TMUX") or kind == "tmux":
        return "tmux"
    return "screen" if environment.get("STY") or kind == "screen" else ""


def _protocol(answer: str, names: set[str]) -> Protocol | None:
    if _KITTY_ANSWER.search(answer):
        return Protocol.KITTY
    named = _NAME_ANSWER.search(answer)
    if names & _LIKE_ITERM2 or (named and named[1].startswith("iTerm2")):
        return Protocol.ITERM2
    kind = _KIND_ANSWER.search(answer)
    return Protocol.SIXEL if kind and _SIXEL_KIND in kind[1].split(";") else None


def _cell(answer: str) -> tuple[int, int]:
    told = _CELL_ANSWER.search(answer)
    if told and int(told[1]) and int(told[2]):
        return int(told[1]), int(told[2])
    return DEFAULT_CELL


def _ask(question: str) -> str:
    """Return the answers; those that came in time, and "" where there is no terminal to ask."""
    if sys.platform == "win32":
        return ""
    try:
        number = os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return ""
    try:
        # Changing the terminal would stop a process in the background.
        if os.tcgetpgrp(number) != os.getpgrp():
            return ""
        with _unechoed(number):
            os.write(number, question.encode("ascii"))
            return _read(number)
    except OSError:
        return ""
    finally:
        os.close(number)


@contextmanager
def _unechoed(number: int) -> Iterator[None]:
    """Let the terminal pass on the answers at once, and not show them, within a ``with`` block."""
    import termios
    import tty

    before = termios.tcgetattr(number)
    try:
        tty.setcbreak(number, termios.TCSADRAIN)
        yield
    except termios.error as error:
        raise OSError(*error.args) from error
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def _read(number: int) -> str:
    """Read up to the answer that every terminal gives."""
    answer, end = "", time.monotonic() + SECONDS
    while not _KIND_ANSWER.search(answer):
        left = end - time.monotonic()
        if left <= 0 or not select.select([number], [], [], left)[0]:
            break
        part = os.read(number, 1024)
        if not part:
            break
        answer += part.decode("latin-1")
    return answer
