"""The picture so far in a terminal: drawn, found there again, and the bar whole below it."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

if sys.platform == "win32":
    pytest.skip("terminals of Unix", allow_module_level=True)

import terminal as terminals
from terminal import Terminal

from nstbatch.cli.console import terminal_query
from nstbatch.cli.console.preview import EVERY, Preview
from nstbatch.cli.console.reporters import BarReporter, LineReporter, QuietReporter, reporter
from nstbatch.cli.console.results import Results
from nstbatch.cli.console.terminal_images import Protocol
from nstbatch.cli.jobs.painting import Outcome, Status
from nstbatch.cli.jobs.plan import Job
from nstbatch.runtime.descent.progress import Progress

JOB, OTHER = (Job(Path(name), Path("out", name)) for name in ("a.jpg", "b.jpg"))


class Screen:
    """A terminal, what shows previews there, and a clock."""

    def __init__(self, protocol: Protocol, **size: int) -> None:
        self.terminal = Terminal()
        self.console = Console(
            file=self.terminal,
            force_terminal=True,
            width=size.get("width", 80),
            height=size.get("height", 24),
            color_system=None,
            legacy_windows=False,
        )
        # The line discipline of a terminal.
        write = self.terminal.write
        self.terminal.write = lambda text: write(text.replace("\n", "\r\n"))
        self.terminal.flush = lambda: None
        self.now = 0.0
        asked = terminal_query.Terminal(protocol, self.terminal.cell)
        self.preview = Preview(self.console, asked, lambda: self.now)
        self.report = BarReporter(
            2, results=Results.NOTHING, console=self.console, preview=self.preview
        )

    def step(self, number: int, picture: np.ndarray, job: Job = JOB) -> None:
        self.now += EVERY
        progress = Progress(1, 1, number, 300, number / 300, *picture.shape[:2], {})
        self.report.progressed(job, replace(progress, picture=lambda: picture))
        self.report._bar.refresh()


def gradient(height: int, width: int, blue: float = 0.5) -> np.ndarray:
    """A picture of smooth colours, which every protocol keeps nearly as they are."""
    red, green = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    return np.dstack([red, green, np.full_like(red, blue)]).astype(np.float32)


def difference(shown: terminals.Shown, picture: np.ndarray) -> float:
    """The mean difference of a drawn picture, from 0 to 1."""
    size = picture.shape[1::-1]
    return float(np.abs(np.asarray(shown.image.resize(size)) / 255 - picture).mean())


@pytest.mark.parametrize("protocol", Protocol)
def test_the_picture_lies_above_the_bar_and_is_replaced_in_place(protocol):
    screen = Screen(protocol)
    with screen.report as report:
        report.started(JOB)
        for number in range(1, 5):
            picture = gradient(100, 150, blue=number / 5)
            screen.step(number, picture)
            if number < 2:  # the first seconds show only the start
                assert not screen.terminal.pictures
                continue
            (shown,) = screen.terminal.pictures
            assert (shown.row, shown.columns, shown.rows) == (0, 36, 12)
            assert difference(shown, picture) < 0.02
            assert len(screen.terminal.text) == 1
            assert f"{number}/300 steps" in screen.terminal.text[0]
        assert len(screen.terminal.lines) == 12 + 1


@pytest.mark.parametrize("protocol", Protocol)
def test_lines_that_are_printed_stay_between_the_pictures(protocol):
    screen = Screen(protocol)
    with screen.report as report:
        report.started(JOB)
        for number in range(1, 4):
            screen.step(number, gradient(100, 150))
        screen.console.print("out/a.jpg")
        screen.step(4, gradient(100, 150))
        report.finished(Outcome(JOB.input, JOB.output, Status.DONE))
        report.started(OTHER)
        for number in range(1, 4):
            screen.step(number, gradient(150, 100), OTHER)
    places = [(shown.row, shown.columns, shown.rows) for shown in screen.terminal.pictures]
    assert places == [(0, 36, 12), (13, 36, 12), (25, 16, 12)]
    assert screen.terminal.lines[12].rstrip() == "out/a.jpg"
    assert screen.terminal.text == ["out/a.jpg"]  # the bar is gone


def test_a_preview_is_rare_and_takes_no_more_than_a_part_of_the_time():
    screen = Screen(Protocol.KITTY)
    made = []

    def slow() -> np.ndarray:
        screen.now += 1
        made.append(screen.now)
        return gradient(10, 10)

    with screen.report as report:
        report.started(JOB)
        for number in range(200):
            screen.now += 0.25
            progress = Progress(1, 1, number, 300, 0.1, 10, 10, {}, picture=slow)
            report.progressed(JOB, progress)
        assert len(made) == 3
        assert min(np.diff(made)) > 20
        report.progressed(JOB, replace(progress, step=300))  # the finished picture
        assert len(made) == 4
        report.started(OTHER)
        report.progressed(OTHER, replace(progress, step=300))
        assert len(made) == 4  # of a quick picture, not even the last


@pytest.mark.parametrize(
    ("height", "width", "console", "cells"),
    [
        (100, 1000, (80, 24), (72, 4)),
        (1000, 10, (80, 24), (1, 12)),
        (100, 100, (20, 100), (20, 10)),
        (100, 100, (200, 100), (36, 18)),
        (1, 1, (1, 1), (1, 1)),
    ],
)
def test_it_fits_into_part_of_the_terminal(height, width, console, cells):
    screen = Screen(Protocol.KITTY, width=console[0], height=console[1])
    assert screen.preview._cells(height, width) == cells


@pytest.mark.parametrize(
    ("options", "kind"),
    [({"quiet": True}, QuietReporter), ({"results": Results.JSON}, BarReporter), ({}, BarReporter)],
)
def test_nothing_is_asked_where_nothing_can_be_shown(monkeypatch, capsys, options, kind):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(terminal_query, "_ask", lambda question: pytest.fail("asked"))
    to_paint = 1 if options else 0
    wanted = {"results": Results.LINES, "quiet": False, "preview": "auto"} | options
    assert type(reporter(1, to_paint, **wanted)) is kind
    monkeypatch.setattr("sys.stderr.isatty", lambda: False)
    assert type(reporter(1, 1, **wanted)) in (LineReporter, QuietReporter)
    assert capsys.readouterr().err == ""


# ---- the whole command ------------------------------------------------------------------------

STYLIZE = """
from nstbatch.cli.console import preview, terminal_query
preview.EVERY = 0.05
terminal_query.SECONDS = 300  # a machine may be slow
from nstbatch.__main__ import main
main()
"""
WORDS = (
    "a.png --style a.png --model squeezenet1_1 --size 48 --scales 2 --iterations 30 --device cpu"
)
ENVIRONMENT = {"TERM": "xterm-256color", "TERM_PROGRAM": "", "LC_TERMINAL": "", "COLUMNS": "80"}


@pytest.mark.parametrize(
    ("answer", "shows"), [("\x1b[?65;4;1c", True), ("\x1b[?65;1c", False)], ids=["sixel", "none"]
)
def test_a_batch_shows_its_pictures_or_says_that_it_cannot(tmp_path, monkeypatch, answer, shows):
    from nstbatch.runtime.pictures.images import read, write

    write(tmp_path / "a.png", gradient(48, 64))
    monkeypatch.chdir(tmp_path)
    terminal = Terminal(answers={"\x1b[c": answer})
    words = ["-c", STYLIZE, "stylize", *WORDS.split(), "--preview"]
    assert terminals.run(words, terminal, ENVIRONMENT | {"TMUX": "", "STY": ""}) == 0
    assert terminal.text[-1].startswith("1 picture done in")
    assert "stylized/a.png" in terminal.text
    said = [line for line in terminal.text if "shows no pictures" in line]
    if shows:
        painted = read(tmp_path / "stylized/a.png").pixels
        assert difference(terminal.pictures[-1], painted) < 0.03
        assert not said
    else:
        assert not terminal.pictures
        assert len(said) == 1
