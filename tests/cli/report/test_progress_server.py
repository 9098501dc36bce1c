import itertools
import json
import socket
import urllib.error
import urllib.request
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from nstbatch.cli.jobs.painting import Outcome, Status
from nstbatch.cli.jobs.plan import Job, Source
from nstbatch.cli.report import progress_server
from nstbatch.cli.report.live_batch import PORTION, LiveBatch
from nstbatch.cli.report.progress_server import serving
from nstbatch.runtime.descent.progress import Progress
from nstbatch.runtime.errors import UsageError


@pytest.fixture
def live(batch) -> LiveBatch:
    batch.run()
    return LiveBatch(batch.out, to_paint=4, clock=itertools.count(step=10).__next__)


def job(batch, name: str) -> Job:
    return Job(batch.photos / name, batch.out / name)


def progress(step: int) -> Progress:
    return Progress(1, 2, step, 40, step / 40, 32, 48, {"total": 7.25})


def paint(live, batch, name: str, **changes) -> None:
    """Do the steps of a batch: start, write the ledger's line, tell the reporter."""
    live.started(job(batch, name))
    batch.image(name, **changes)
    live.finished(Outcome(batch.photos / name, batch.out / name, Status.DONE))


def get(address: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(address, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


# ---- the news ---------------------------------------------------------------------------------


def test_news_before_there_is_a_ledger(tmp_path):
    news = LiveBatch(tmp_path, to_paint=3).news(0)
    assert news["entries"] == []
    assert news["current"] is None
    assert news["batch"] | {"seconds": 0} == {
        "pictures": 3,
        "finished": 0,
        "failed": 0,
        "share": 0,
        "seconds": 0,
        "left": None,
    }


def test_the_picture_under_way_and_the_time_left(live, batch):
    paint(live, batch, "a.png")
    batch.image("b.png")
    live.started(job(batch, "b.png"))
    live.progressed(job(batch, "b.png"), progress(10))
    live.progressed(job(batch, "b.png"), progress(20))
    news = live.news(0)
    assert news["current"]["name"].endswith("b.png")
    assert news["current"]["photo"].startswith("data:image/jpeg;base64,")
    assert news["current"]["share"] == 0.5
    assert news["current"]["facts"] == "48x32 · 20 of 40 steps · loss 7.25"
    whole = news["batch"]
    assert (whole["finished"], whole["share"]) == (1, 0.375)
    # A quarter of a picture in 10 seconds, and 10 more until the page asks for the second time.
    assert whole["left"] == pytest.approx(10 / 0.25 * 2.5 - 20)


def test_the_picture_so_far_is_made_for_a_page_that_asks(live, batch):
    made = []

    def picture() -> np.ndarray:
        made.append(len(made))
        return np.full((20, 30, 3), 0.5, np.float32)

    batch.image("b.png")
    live.started(job(batch, "b.png"))
    step = partial(live.progressed, job(batch, "b.png"), replace(progress(1), picture=picture))
    step()
    assert live.news(0)["current"]["painted"] is None
    assert not made  # nobody had asked
    step()
    step()
    assert live.news(0)["current"]["painted"].startswith("data:image/jpeg;base64,")
    assert len(made) == 1
    live.started(job(batch, "c.png"))
    paint(live, batch, "b.png")
    assert live.news(0)["current"]["painted"] is None  # that was of another photo


def test_news_come_in_portions(live, batch):
    for number in range(PORTION + 3):
        batch.image(f"{number}.png")
    first = live.news(0)
    assert (len(first["entries"]), first["more"]) == (PORTION, True)
    second = live.news(first["newest"])
    assert (len(second["entries"]), second["more"]) == (3, False)
    assert live.news(second["newest"])["entries"] == []
    batch.image("0.png")  # once more, with other settings
    assert [entry["name"] for entry in live.news(second["newest"])["entries"]] == ["0.png"]


def test_failures_are_counted_and_skipped_ones_are_not(live, batch):
    live.finished(Outcome(Path("a.png"), Path("a.png"), Status.FAILED, "No."))
    live.finished(Outcome(Path("b.png"), Path("b.png"), Status.SKIPPED))
    whole = live.news(0)["batch"]
    assert (whole["finished"], whole["failed"]) == (1, 1)


def test_a_sheet_under_way_has_no_photo(tmp_path, batch):
    batch.run(verb="deconv", style=None)
    batch.image("relu2.png")
    live = LiveBatch(batch.out, to_paint=2)
    words = batch.photos / "relu2.png"  # such a file, but it is only words here
    live.started(Job(words, batch.out / "sheet.png", source=Source.IMAGES, digest="1" * 64))
    assert live.news(0)["current"] == {
        "name": str(words),
        "photo": None,
        "painted": None,
        "share": 0,
        "facts": "",
    }


# ---- the server -------------------------------------------------------------------------------


def test_it_serves_the_page_the_news_and_the_files(live, batch):
    paint(live, batch, "a.png")
    with serving(live) as address:
        assert address.startswith("http://127.0.0.1:")
        status, headers, page = get(address)
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert b"progress.json" in page
        (entry,) = json.loads(get(f"{address}progress.json?after=0")[2])["entries"]
        status, headers, data = get(address + entry["links"]["picture"])
        assert (status, headers["Content-Type"]) == (200, "image/png")
        assert data == (batch.out / "a.png").read_bytes()
        assert get(address + entry["links"]["photo"])[2] == (batch.photos / "a.png").read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "nstbatch.jsonl",
        "a.png",
        "../photos/a.png",
        "files/picture/../../nstbatch.jsonl",
        "files/picture/99",
        "files/ledger/1",
        "files/picture/-1",
    ],
)
def test_nothing_else_can_be_had(live, batch, path):
    batch.image("a.png")
    with serving(live) as address:
        assert get(address + path)[0] == 404


def test_words_lead_to_no_file(batch):
    batch.run(verb="deconv", style=None)
    batch.sheet("photos/secret.png", "sheet.png")
    (batch.photos / "secret.png").write_bytes(b"secret")
    with serving(LiveBatch(batch.out, to_paint=1)) as address:
        (entry,) = json.loads(get(f"{address}progress.json?after=0")[2])["entries"]
        assert entry["links"] == {"photo": None, "picture": "files/picture/2"}
        assert get(f"{address}files/photo/2")[0] == 404
        assert get(f"{address}files/picture/2")[0] == 200


def test_other_names_for_this_machine_are_refused(live):
    with serving(live) as address:
        assert get(address, Host="evil.example")[0] == 403
        assert get(address + "progress.json", Host="evil.example:80")[0] == 403
        port = address.rstrip("/").rpartition(":")[2]
        assert get(address, Host=f"localhost:{port}")[0] == 200


def test_a_file_that_is_not_a_picture_cannot_be_opened_as_a_page(live, batch):
    batch.run()
    (batch.photos / "a.html").write_text("<script>alert(1)</script>")
    batch.failure("a.html", "Not recognised as a picture.", pictures=False)
    with serving(live) as address:
        (entry,) = json.loads(get(f"{address}progress.json?after=0")[2])["entries"]
        _, headers, _ = get(address + entry["links"]["photo"])
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_port_that_is_taken_is_wrong_usage(live):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(UsageError, match=f"Port {port} cannot be used: .*--watch-port"),
            serving(live, port),
        ):
            pass


def test_it_is_gone_with_the_batch(live):
    with serving(live) as address:
        assert get(address)[0] == 200
    with pytest.raises(urllib.error.URLError):
        get(address)


# ---- the page ---------------------------------------------------------------------------------


def test_a_page_that_is_open_follows_the_batch(live, batch, open_page, monkeypatch):
    monkeypatch.setattr(progress_server, "FAREWELL", 20)  # a machine may be slow
    paint(live, batch, "a.png")
    with serving(live) as address:
        page = open_page(address)
        expect(page.locator(".card .name")).to_have_text(["a.png"])
        live.started(job(batch, "the style.png"))
        live.progressed(job(batch, "the style.png"), progress(10))
        expect(page.locator("#live-name")).to_contain_text("the style.png")
        expect(page.locator("#live-facts")).to_have_text("48x32 · 10 of 40 steps · loss 7.25")
        assert page.locator("#live-share").evaluate("each => each.value") == 0.25
        painted = replace(progress(11), picture=lambda: np.full((20, 30, 3), 0.5, np.float32))
        live.progressed(job(batch, "the style.png"), painted)
        expect(page.locator("#live-painted")).to_have_js_property("naturalWidth", 30)
        paint(live, batch, "b.png", losses={"total": 9})
        expect(page.locator(".card .name")).to_have_text(["a.png", "b.png"])
        expect(page.locator("#live-summary")).to_contain_text("2 of 4 pictures")
        assert Axe().run(page).violations_count == 0
        paint(live, batch, "c.png")
    expect(page.locator(".card .name")).to_have_text(["a.png", "b.png", "c.png"])
    expect(page.locator("#live-name")).to_have_text("The batch has ended.")


def test_serving_looks_no_name_up(live, monkeypatch):
    asked = []
    monkeypatch.setattr(socket, "getfqdn", asked.append)
    with serving(live) as address:
        assert address.startswith("http://127.0.0.1:")
    assert asked == []
