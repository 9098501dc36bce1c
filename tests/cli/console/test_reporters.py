import errno
import io
import json
import logging
from pathlib import Path

import pytest
from rich.console import Console

from nstbatch.cli.batch.batch import Summary
from nstbatch.cli.console.logs import set_verbosity
from nstbatch.cli.console.reporters import (
    BarReporter,
    LineReporter,
    QuietReporter,
    reporter,
    summary_line,
)
from nstbatch.cli.console.results import Results
from nstbatch.cli.jobs.painting import Outcome, Status
from nstbatch.cli.jobs.plan import Job
from nstbatch.runtime.descent.progress import Progress

JOB = Job(Path("photos/[bold]a.jpg"), Path("stylized/[bold]a.jpg"))
DONE = Outcome(JOB.input, JOB.output, Status.DONE, None, 12.3, 300, {"total": 2.5}, "cpu", "fp32")
SKIPPED = Outcome(Path("b.jpg"), Path("stylized/b.jpg"), Status.SKIPPED, "It is there.")
FAILED = Outcome(Path("c\nd.jpg"), Path("stylized/c\nd.jpg"), Status.FAILED, "It is\nempty.")


def progress(step: int) -> Progress:
    return Progress(
        scale=1 + step // 150,
        scales=2,
        step=step,
        steps=300,
        share=step / 300,
        height=64,
        width=96,
        losses={},
    )


def tell(report: QuietReporter, *outcomes: Outcome) -> None:
    with report:
        for outcome in outcomes:
            report.finished(outcome)


def test_results_alone_on_stdout_and_a_line_for_every_photo_on_stderr(capsys):
    tell(LineReporter(3, results=Results.LINES), DONE, SKIPPED, FAILED)
    out, err = capsys.readouterr()
    assert out == "stylized/[bold]a.jpg\n"
    assert err.splitlines() == [
        "[1/3] done photos/[bold]a.jpg -> stylized/[bold]a.jpg (12.3 s, 300 steps, loss 2.5)",
        "[2/3] skipped b.jpg: It is there.",
        r"[3/3] failed c\nd.jpg: It is\nempty.",
    ]


def test_json_prints_every_photo(capsys):
    tell(LineReporter(3, results=Results.JSON), DONE, SKIPPED, FAILED)
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["status"] for record in records] == ["done", "skipped", "failed"]
    assert records[2]["input"] == "c\nd.jpg"


@pytest.mark.parametrize(("results", "ends"), [("LINES", 0), ("JSON", 3), ("NULL", 1)])
def test_quiet_says_nothing_but_failures_and_what_programs_asked_for(capsysbinary, results, ends):
    tell(reporter(3, 2, results=Results[results], quiet=True), DONE, SKIPPED, FAILED)
    out, err = capsysbinary.readouterr()
    assert out.count(b"\0" if results == "NULL" else b"\n") == ends
    err = err.decode()
    assert err == "failed c\\nd.jpg: It is\\nempty.\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_results_that_nobody_reads_are_dropped_and_the_rest_goes_on(capfd, monkeypatch):
    report = LineReporter(2, results=Results.JSON)
    full = Path("/dev/full").open("w")  # noqa: SIM115
    with monkeypatch.context() as patched:
        patched.setattr("sys.stdout", full)
        tell(report, DONE, SKIPPED)
    assert report.lost is not None
    assert report.lost.errno == errno.ENOSPC
    full.close()  # as Python does when it ends; it would raise the error again
    assert capfd.readouterr().err.count("\n") == 2


def test_verbose_tells_of_every_scale_once(capsys):
    set_verbosity(quiet=False, verbose=True)
    with LineReporter(1, results=Results.LINES) as report:
        report.started(JOB)
        for step in (0, 1, 149, 150, 299):
            report.progressed(JOB, progress(step))
    set_verbosity(quiet=False, verbose=False)
    assert capsys.readouterr().err.splitlines() == [
        f"{JOB.input}: scale 1/2, 96x64",
        f"{JOB.input}: scale 2/2, 96x64",
    ]


@pytest.mark.parametrize(
    ("terminal", "term", "kind"),
    [
        (False, "xterm", LineReporter),
        (True, "xterm", BarReporter),
        (True, "dumb", LineReporter),
    ],
)
def test_a_bar_on_a_terminal_and_lines_elsewhere(monkeypatch, terminal, term, kind):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    monkeypatch.setenv("TERM", term)
    assert type(reporter(1, 1, results=Results.LINES, quiet=False)) is kind


def test_the_bar_shows_names_as_text_and_leaves_stdout_to_the_results(capsys):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120, color_system=None)
    with BarReporter(2, results=Results.LINES, console=console) as report:
        report.finished(SKIPPED)
        report.started(JOB)
        report.progressed(JOB, progress(150))
        report._bar.refresh()
        assert report._bar.tasks[0].percentage == 25
        report.finished(DONE)
        report.finished(FAILED)
        assert report._bar.finished
    shown = screen.getvalue()
    assert "[bold]a.jpg" in shown
    assert "96x64 150/300 steps" in shown
    assert r"failed c\nd.jpg: It is\nempty." in shown
    assert capsys.readouterr().out == "stylized/[bold]a.jpg\n"


def test_the_bar_tells_the_time_left(monkeypatch):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120, color_system=None)
    with BarReporter(4, results=Results.LINES, console=console) as report:
        now = [0.0]
        monkeypatch.setattr(report._left, "_clock", lambda: now[0])
        report.started(JOB)
        for step in range(0, 301, 100):
            now[0] = step / 10
            report.progressed(JOB, progress(step))
        now[0] += 5  # the next size is being opened
        report._bar.refresh()
    assert "0:01:25 left" in screen.getvalue()


@pytest.mark.parametrize(
    ("summary", "line"),
    [
        (
            Summary({Status.DONE: 1, Status.SKIPPED: 0, Status.FAILED: 0}, 0, False, 2),
            "1 picture done in 2.0 s",
        ),
        (
            Summary({Status.DONE: 3, Status.SKIPPED: 1, Status.FAILED: 2}, 0, False, 80),
            "3 pictures done, 1 already there, 2 failed in 1 min 20 s",
        ),
        (
            Summary({Status.DONE: 0, Status.SKIPPED: 0, Status.FAILED: 0}, 4, True, 3),
            "interrupted: 0 pictures done, 4 not tried in 3.0 s",
        ),
    ],
)
def test_the_summary(summary, line):
    assert summary_line(summary) == line


def test_verbosity_decides_which_messages_appear(capsys):
    log = logging.getLogger("nstbatch.anything")
    for options in ({"quiet": True, "verbose": False}, {"quiet": False, "verbose": False}):
        set_verbosity(**options)
        log.warning("a warning")
        log.debug("a detail")
        logging.getLogger("py.warnings").warning("for programmers")
    assert capsys.readouterr().err == "a warning\n"
    set_verbosity(quiet=False, verbose=True)
    logging.getLogger("py.warnings").warning("for programmers")
    set_verbosity(quiet=False, verbose=False)
    assert capsys.readouterr().err == "for programmers\n"
