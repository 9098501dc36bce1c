"""A terminal for tests: it keeps lines of text and the pictures drawn over them."""

from __future__ import annotations

import base64
import codecs
import io
import os
import pty
import re
import select
import sys
import time
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

ESCAPE = re.compile(
    r"\x1b_G(?P<kitty>[^\x1b]*)\x1b\\"
    r"|\x1b\]1337;File=(?P<iterm2>[^\a]*)\a"
    r"|\x1bP(?P<sixel>[^\x1b]*)\x1b\\"
    r"|\x1b\[(?P<control>[?>]?[\d;]*)(?P<final>[A-Za-z])"
    r"|\x1b(?P<plain>[78])"
)


@dataclass
class Shown:
    """A picture over some cells; its row counts from the first line that was ever printed."""

    row: int
    columns: int
    rows: int
    image: Image.Image
    number: int = 0


@dataclass
class Terminal:
    """A terminal of 80 columns that has been written to.

    Attributes:
        answers: Its answers to questions, by the questions.
    """

    height: int = 24
    cell: tuple[int, int] = (20, 10)
    answers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lines: list[str] = [""]
        self.pictures: list[Shown] = []
        self.asked = ""
        self._row = self._column = 0
        self._saved = (0, 0)
        self._parts = ""
        self._rest = ""

    @property
    def text(self) -> list[str]:
        """The lines with something on them."""
        return [line.rstrip() for line in self.lines if line.strip()]

    def write(self, text: str) -> None:
        """Take in output; an unfinished escape sequence waits for its rest."""
        text = self._rest + text
        place = 0
        while place < len(text):
            if text[place] != "\x1b":
                self._print(text[place])
                place += 1
            elif match := ESCAPE.match(text, place):
                self._obey(match)
                place = match.end()
            else:
                break
        self._rest = text[place:]

    def _print(self, character: str) -> None:
        if character == "\n":
            self._row += 1
            self.lines += [""] * (self._row + 1 - len(self.lines))
        elif character == "\r":
            self._column = 0
        elif character.isprintable():
            line = self.lines[self._row].ljust(self._column)
            self.lines[self._row] = line[: self._column] + character + line[self._column + 1 :]
            self._column += 1

    def _obey(self, match: re.Match[str]) -> None:
        if (answer := self.answers.get(match[0])) is not None:
            self.asked += answer
        elif match["kitty"] is not None:
            self._kitty(match["kitty"])
        elif match["iterm2"] is not None:
            about, _, data = match["iterm2"].partition(":")
            values = dict(pair.split("=") for pair in about.split(";"))
            assert int(values["size"]) == len(base64.b64decode(data))
            self._show(int(values["width"]), int(values["height"]), _decoded(data))
        elif match["sixel"] is not None:
            image = unsixel(match["sixel"])
            height, width = self.cell
            self._show(-(-image.width // width), -(-image.height // height), image)
        elif match["plain"] == "7":
            self._saved = self._row, self._column
        elif match["plain"] == "8":
            self._row, self._column = self._saved
        elif match["final"] == "A":
            top = max(0, len(self.lines) - self.height)
            self._row = max(top, self._row - int(match["control"] or 1))
        elif match["final"] == "B":
            self._row = min(len(self.lines) - 1, self._row + int(match["control"] or 1))
        elif match["final"] == "K":
            self.lines[self._row] = ""
        else:
            assert match["final"] in "mhlcqt", match[0]

    def _kitty(self, sequence: str) -> None:
        about, _, data = sequence.partition(";")
        values = dict(pair.split("=") for pair in about.split(","))
        if values.get("a") == "q":
            return
        assert len(data) <= 4096
        if "c" in values:
            self._about, self._parts = values, ""
        self._parts += data
        if values["m"] == "0":
            number = int(self._about["i"])
            self.pictures = [each for each in self.pictures if each.number != number]
            size = int(self._about["c"]), int(self._about["r"])
            self._show(*size, _decoded(self._parts), number)

    def _show(self, columns: int, rows: int, image: Image.Image, number: int = 0) -> None:
        assert self._column == 0
        assert self._row + rows < len(self.lines)  # else it scrolls, or covers the bar
        here = range(self._row, self._row + rows)
        self.pictures = [each for each in self.pictures if each.row not in here]
        self.pictures.append(Shown(self._row, columns, rows, image, number))


def _decoded(data: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")


def unsixel(sequence: str) -> Image.Image:
    """Draw the picture of a sixel sequence."""
    about = re.match(r'0;1;0q"1;1;(\d+);(\d+)', sequence)
    assert about
    width, height = int(about[1]), int(about[2])
    pixels = np.zeros((height, width, 3), np.uint8)
    palette: dict[int, list[int]] = {}
    colour = column = band = 0
    for token in re.findall(r"#[\d;]+|!\d+.|[$-]|[?-~]", sequence[about.end() :]):
        if token.startswith("#"):
            colour, *values = map(int, token[1:].split(";"))
            if values:
                palette[colour] = [round(value * 2.55) for value in values[1:]]
        elif token in "$-":
            column = 0
            band += token == "-"
        else:
            count = int(token[1:-1]) if token.startswith("!") else 1
            for bit in range(6):
                if ord(token[-1]) - ord("?") >> bit & 1:
                    pixels[6 * band + bit, column : column + count] = palette[colour]
            column += count
    return Image.fromarray(pixels)


def run(
    words: list[str], terminal: Terminal, environment: dict[str, str], seconds: float = 600
) -> int:
    """Run a program of this Python within a terminal, and return its exit code."""
    process, number = pty.fork()
    if process == 0:
        os.environ.update(environment)
        os.execv(sys.executable, [sys.executable, *words])
    end = time.monotonic() + seconds
    decoder = codecs.getincrementaldecoder("utf-8")()  # a read may end within a letter
    while True:
        assert time.monotonic() < end, terminal.text
        try:
            if select.select([number], [], [], 0.1)[0]:
                terminal.write(decoder.decode(os.read(number, 65536)))
        except OSError:  # of Linux, when the other end is closed
            break
        os.write(number, terminal.asked.encode())
        terminal.asked = ""
    os.close(number)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
