import base64
import hashlib
import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nstbatch.cli.output.ledger import NAME as LEDGER
from nstbatch.cli.report import page
from nstbatch.cli.report.data import read_report
from nstbatch.cli.report.page import render, write_page
from nstbatch.runtime.errors import NstbatchError

EVIL = "<img src=x onerror=alert(1)>.jpg"
ENDING = "</script><script>alert(2)</script>"


def made(batch) -> str:
    return write_page(batch.out).read_text(encoding="utf-8")


def shown(page: str) -> list[dict]:
    data = re.search(r'id="data">(.*?)</script>', page, re.S)[1]
    return json.loads(data)["entries"]


def test_the_page_shows_the_ledger(batch):
    batch.run()
    batch.image("a.png")
    batch.failure("b.png", "The file is empty (0 bytes).")
    done, failed = shown(made(batch))
    assert (done["name"], done["seconds"], done["device"]) == ("a.png", 12.5, "cpu fp32")
    assert done["before"] != done["after"]
    assert done["links"] == {"photo": "./../photos/a.png", "picture": "./a.png"}
    assert (failed["reason"], failed["after"]) == ("The file is empty (0 bytes).", None)
    assert "style weight</dt><dd>20</dd>" in made(batch)


def test_settings_are_shown_as_people_write_them(batch):
    settings = {"tv_weight": 10.0, "style_layers": [], "init": None, "seeds": [1, 2]}
    batch.run(settings=settings | {"recursive": True, "quiet": False})
    page = made(batch)
    for name, value in (
        *(("tv weight", "10"), ("style layers", "default"), ("init", "default")),
        *(("seeds", "1, 2"), ("recursive", "yes")),
    ):
        assert f"<dt>{name}</dt><dd>{value}</dd>" in page
    assert "quiet</dt>" not in page


def test_runs_that_found_all_done_are_left_out_but_for_the_newest(batch):
    for number in range(4):
        batch.run(run=f"run{number}", verb=f"verb{number}")
        if number == 1:
            batch.image("a.png", run="run1")
    page = made(batch)
    assert [f"verb{number}" in page for number in range(4)] == [False, True, False, True]


def test_missing_files_are_shown_as_missing(batch):
    batch.run()
    batch.image("a.png")
    (batch.out / "a.png").unlink()
    batch.image("b.png", pictures=False)
    first, second = shown(made(batch))
    assert first["before"]
    assert first["links"]["picture"] is first["after"] is None
    assert second["links"] == {"photo": None, "picture": None}
    assert second["before"] is second["after"] is None


@pytest.mark.parametrize(
    ("verb", "words", "digest"),
    [
        ("deconv", "relu2, filter 3", "1" * 64),  # of all its images
        ("dream", "tiger", hashlib.sha256(b"tiger").hexdigest()),
    ],
)
def test_a_picture_without_a_photo_has_no_photo_to_show(batch, verb, words, digest):
    batch.run(verb=verb, style=None)
    batch.sheet(words, "sheet.png", input_sha256=digest)
    sheet = (batch.out / "sheet.png").read_bytes()
    (batch.out.parent / words).write_bytes(sheet)  # a picture that only has that name
    (entry,) = shown(made(batch))
    assert (entry["name"], entry["input"], entry["has_photo"]) == ("sheet.png", words, False)
    assert entry["after"].startswith("data:image/")
    assert entry["before"] is entry["links"]["photo"] is None
    assert entry["links"]["picture"] == "./sheet.png"


def test_a_sheet_that_failed_has_no_photo_to_show(batch):
    batch.run(verb="deconv", style=None)
    batch.failure("sheet.png", "An image is gone.", input="relu2, filter 3", pictures=False)
    (entry,) = shown(made(batch))
    assert entry["before"] is entry["after"] is None
    assert entry["links"] == {"photo": None, "picture": None}
    assert (entry["has_photo"], entry["reason"]) == (False, "An image is gone.")


def test_a_failure_does_not_show_the_picture_of_an_earlier_run(batch):
    batch.run()
    batch.image("a.png")
    batch.failure("a.png", "The disk was full.")
    (entry,) = shown(made(batch))
    assert entry["before"]
    assert entry["after"] is entry["links"]["picture"] is None


@pytest.mark.parametrize("name", ["50% off #1?.png", "javascript:alert(1).png", "a b\n'c'&.png"])
def test_links_lead_to_files_of_any_name(batch, name):
    batch.run()
    batch.image(name)
    (entry,) = shown(made(batch))
    assert re.fullmatch(r"\./[\w./%~-]+", entry["links"]["picture"])
    assert (batch.out / unquote(entry["links"]["picture"])).is_file()
    assert (batch.out / unquote(entry["links"]["photo"])).is_file()


def test_nothing_from_outside_is_markup(batch):
    texts = {EVIL: EVIL, ENDING: ENDING}
    batch.run(command=[EVIL, ENDING], settings=texts, style=ENDING, verb=EVIL, time=ENDING)
    batch.image(EVIL, reason=ENDING, losses=dict.fromkeys(texts, 1.0), provider=ENDING)
    batch.failure("a.png", ENDING, pictures=False)
    page = made(batch)
    assert "<img src=x" not in page
    assert "<script>alert" not in page
    assert page.count("</script>") == 2


VALUES = st.none() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=2)
FIELDS = (
    *("run", "time", "input", "output_in_folder", "reason", "losses", "curve", "steps", "width"),
    *("verb", "command", "cwd", "settings", "style", "versions", "bundle", "provider"),
)
LINE = st.dictionaries(
    st.sampled_from(FIELDS), VALUES | st.dictionaries(st.text(), VALUES, max_size=2)
)


@given(st.lists(LINE, max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_any_ledger_gives_a_page(batch, lines):
    (batch.out / LEDGER).write_text("")
    for line in lines:
        batch.append({"run": "r"} | line | {"kind": "run"})
        batch.append({"input": "a"} | line | {"kind": "image", "status": "done"})
    assert made(batch).endswith("</html>")


def test_the_policy_allows_what_the_page_has_and_nothing_else(batch):
    batch.run()
    page = made(batch)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="(.*?)"', page)[1]
    policy = policy.replace("&#39;", "'")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "connect-src" not in policy
    for element in ("script", "style"):
        source = re.search(rf"<{element}>(.*?)</{element}>", page, re.S)[1]
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_a_live_page_may_ask_for_news_where_it_came_from(batch):
    batch.run()
    page = render(read_report(batch.out), [], live=True)
    assert "connect-src &#39;self&#39;" in page
    assert "progress.json" in page
    assert "progress.json" not in made(batch)


def test_an_older_page_stays_if_the_new_one_cannot_be_written(batch, monkeypatch):
    batch.image("a.png")
    before = made(batch)

    def full(path, data):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(page, "write_atomically", full)
    with pytest.raises(NstbatchError, match=r"report\.html cannot be written: No space left"):
        write_page(batch.out)
    assert (batch.out / "report.html").read_text(encoding="utf-8") == before


def test_scripts_do_not_contain_the_end_of_their_element():
    for path in Path(page.__file__).parent.glob("report*.js"):
        assert not re.search(r"</script|<!--", path.read_text(encoding="utf-8"), re.I)
