import json
import signal
import socket
import urllib.request

import numpy as np
import pytest

from nstbatch.cli.jobs.painting import Painting
from nstbatch.cli.main import run
from nstbatch.cli.verbs.carry_out import Work, carry_out
from nstbatch.cli.verbs.prepare import BatchOptions, find_photos
from nstbatch.runtime.errors import UsageError

GREY = np.full((4, 6, 3), 0.5, np.float32)


def test_the_verb_makes_the_page_and_prints_where(batch, capsys):
    batch.image("a.png")
    assert run(["report", str(batch.out)]) == 0
    assert capsys.readouterr().out.strip() == str(batch.out / "report.html")
    assert (batch.out / "report.html").is_file()


def test_it_can_be_opened_at_once(batch, capsys, monkeypatch):
    opened = []
    monkeypatch.setattr("typer.launch", opened.append)
    batch.image("a.png")
    assert run(["report", str(batch.out), "--open"]) == 0
    assert opened == [(batch.out / "report.html").as_uri()]


@pytest.mark.parametrize("folder", [".", "gone"])
def test_without_a_batch_it_is_wrong_usage(tmp_path, capsys, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    assert run(["report", folder]) == 2
    assert "There is no nstbatch.jsonl in" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# ---- the options --report and --watch-progress -------------------------------------------------


def options(batch, **changes) -> BatchOptions:
    return BatchOptions(batch.out, False, False, False, False, False, False, **changes)


@pytest.fixture
def photos(batch):
    for name in ("a.png", "b.png"):
        batch.image(name)
        (batch.out / name).unlink()
    return batch.photos


def paint(job, progress, stop) -> Painting:
    return Painting(GREY, None, {"total": 2.5}, 7, "cpu", "fp32")


def test_a_page_in_the_end(batch, photos, capsys):
    wanted = options(batch, report=True)
    assert carry_out(Work(find_photos([photos], wanted), paint), wanted) == 0
    page = batch.out / "report.html"
    assert f"the page is {page}" in capsys.readouterr().err
    assert page.read_text(encoding="utf-8").count('"after":"data:') == 2


def test_no_page_unless_it_is_asked_for(batch, photos):
    assert carry_out(Work(find_photos([photos], options(batch)), paint), options(batch)) == 0
    assert not (batch.out / "report.html").exists()


def test_after_an_interrupt_no_page_is_made(batch, photos, capsys):
    def interrupted(job, progress, stop):
        signal.raise_signal(signal.SIGINT)
        raise KeyboardInterrupt

    wanted = options(batch, report=True)
    assert carry_out(Work(find_photos([photos], wanted), interrupted), wanted) == 130
    assert not (batch.out / "report.html").exists()
    assert f"nstbatch report {batch.out}" in capsys.readouterr().err


def test_the_progress_is_served_while_the_batch_runs(batch, photos, capsys):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/"
    answers = []

    def ask(job, progress, stop):
        with urllib.request.urlopen(f"{address}progress.json?after=0", timeout=10) as answer:
            answers.append(json.load(answer)["batch"])
        return paint(job, progress, stop)

    wanted = options(batch, watch_port=port)
    assert carry_out(Work(find_photos([photos], wanted), ask), wanted) == 0
    assert f"progress at {address}" in capsys.readouterr().err
    assert [(answer["finished"], answer["pictures"]) for answer in answers] == [(0, 2), (1, 2)]
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address, timeout=10)


def test_a_port_that_is_taken_is_found_before_the_first_step(batch, photos):
    from nstbatch.cli.report.live_batch import LiveBatch
    from nstbatch.cli.report.progress_server import serving

    def never(job, progress, stop):
        raise AssertionError("nothing is painted")

    with serving(LiveBatch(batch.out, 1)) as address:
        wanted = options(batch, watch_port=int(address.rstrip("/").rpartition(":")[2]))
        with pytest.raises(UsageError, match="cannot be used"):
            carry_out(Work(find_photos([photos], wanted), never), wanted)
