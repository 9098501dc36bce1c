"""Batches from and to a real S3 server, with faults: nothing lost, nothing partial, nothing twice.

The server is moto's, in this process; store_server.py puts the faults before it.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image
from store_server import StoreServer, serving

from nstbatch.cli.main import run
from nstbatch.cli.output import remote_records
from nstbatch.runtime.storage import retries, store

SECRET = "a-secret-that-nobody-sees"
PHOTOS = 10
OPTIONS = (
    *("--size", "48", "--iterations", "2", "--scales", "1"),
    *("--model", "squeezenet1_1", "--device", "cpu"),
)

# A program whose claims end soon, so that tests need not wait a minute.
PROGRAM = """
import sys
from nstbatch.cli.output import remote_records
remote_records.LEASE = 4.0
from nstbatch.cli.main import program
program()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[StoreServer]:
    with pytest.MonkeyPatch.context() as patch, serving(patch, SECRET) as found:
        patch.setattr(retries, "FIRST_WAIT", 0.01)
        store._opened.cache_clear()
        for index in range(PHOTOS):
            found.put(f"photos/{'May/' if index % 3 == 0 else ''}{index}.jpg", picture(index))
        found.put("style.jpg", picture(99))
        yield found
        store._opened.cache_clear()


@pytest.fixture(autouse=True)
def clean(server):
    yield
    server.fault = server.done = lambda request: None


def picture(seed: int) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, "JPEG")
    return file.getvalue()


def words(out: str, *more: str) -> list[str]:
    return [
        *("stylize", "s3://bucket/photos", "-r", "-s", "s3://bucket/style.jpg", "-o", out),
        *(*OPTIONS, *more),
    ]


def pictures(server: StoreServer, prefix: str) -> dict[str, bytes]:
    """Return the pictures under a prefix by their names, without the records."""
    names = [key for key in server.keys(prefix) if "/.nstbatch/" not in key]
    found = {key.removeprefix(prefix): server.get(key) for key in names}
    found.pop("nstbatch.toml", None)
    return found


def records(server: StoreServer, prefix: str) -> dict[str, dict[str, Any]]:
    folder = f"{prefix}.nstbatch/pictures/"
    return {
        key.removeprefix(folder).removesuffix(".json"): json.loads(server.get(key))
        for key in server.keys(folder)
    }


@pytest.fixture(scope="module")
def expected(server, tmp_path_factory) -> dict[str, bytes]:
    """The pictures of an undisturbed batch, on a disk."""
    out = tmp_path_factory.mktemp("out")
    assert run(words(str(out), "--strip", "--quiet")) == 0
    found = (path for path in out.rglob("*.jpg"))
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}


def test_errors_throttling_and_dropped_connections_lose_nothing(server, expected, capsys):
    """Also a repeated command paints nothing, and says so."""
    chance = random.Random(5)
    kinds = ("500", "503", "drop before", "drop after")
    # Each kind in turn: how the threads mix their requests must not leave one out.
    of_reads, of_others = itertools.cycle(("cut", *kinds)), itertools.cycle(kinds)
    server.faults.clear()

    def fault(request: dict[str, Any]) -> str | None:
        if chance.random() > 0.3:
            return None
        return next(of_reads if request["REQUEST_METHOD"] == "GET" else of_others)

    server.fault = fault
    assert run(words("s3://bucket/faults", "--strip", "--json")) == 0
    server.fault = lambda request: None
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert Counter(line["status"] for line in lines) == {"done": PHOTOS}
    assert pictures(server, "faults/") == expected
    assert Counter(server.faults).keys() == {*kinds, "cut"}
    found = records(server, "faults/")
    assert found.keys() == expected.keys()
    for record in found.values():
        (line,) = record["lines"]
        assert (line["status"], record["holder"], record["intent"]) == ("done", "", None)
    names = {key.split("/")[2] for key in server.keys("faults/.nstbatch/")}
    assert names == {"pictures", "runs"}  # no probe is left

    assert run(words("s3://bucket/faults", "--strip", "--json")) == 0
    again = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["status"] for line in again} == {"skipped"}


def start(name: str, out: str) -> subprocess.Popen[str]:
    """Start a process whose requests have its name."""
    command = [sys.executable, "-c", PROGRAM, *words(out, "--strip", "--json")]
    environment = {**os.environ, "AWS_SDK_UA_APP_ID": name}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def test_two_processes_paint_each_picture_once_though_one_is_killed(server, expected, monkeypatch):
    """It is killed when a picture has its name, and its line has not been written."""
    first = start("first", "s3://bucket/two")
    killed: list[str] = []
    written: Counter[str] = Counter()

    def happened(request: dict[str, Any]) -> None:
        path = request["PATH_INFO"].removeprefix("/bucket/two/")
        if request["REQUEST_METHOD"] != "PUT" or not path.endswith(".jpg"):
            return
        written[path] += 1
        if "app/first" in request["HTTP_USER_AGENT"] and sum(written.values()) > 2 and not killed:
            killed.append(path)
            first.kill()
            first.wait()

    server.done = happened
    second = start("second", "s3://bucket/two")
    output, errors = second.communicate(timeout=100)
    painted = [json.loads(line) for line in first.communicate()[0].splitlines()]
    assert first.returncode == -signal.SIGKILL
    assert second.returncode == 0, errors
    painted += [json.loads(line) for line in output.splitlines()]
    assert pictures(server, "two/") == expected
    assert set(written.values()) == {1}
    assert len(killed) == 1
    done = Counter(line["output"] for line in painted if line["status"] == "done")
    assert set(done.values()) == {1}
    assert PHOTOS - 2 <= len(done) < PHOTOS  # of what the first had in hand, nobody could tell
    assert {record["holder"] for record in records(server, "two/").values()} == {""}
    monkeypatch.setattr(remote_records, "LEASE", 4.0)
    server.requests.clear()
    assert run(words("s3://bucket/two", "--strip", "--quiet")) == 0
    assert not any(method == "PUT" and path.endswith(".jpg") for method, path in server.requests)


def test_after_ctrl_c_only_the_rest_is_painted_and_nothing_is_waited_for(server, expected):
    process = start("only", "s3://bucket/stopped")

    def fault(request: dict[str, Any]) -> None:
        if request["PATH_INFO"].endswith("stopped/.nstbatch/pictures/2.jpg.json"):
            process.send_signal(signal.SIGINT)

    server.fault = fault
    output, errors = process.communicate(timeout=100)
    assert process.returncode == 130, errors
    assert "to go on: nstbatch stylize s3://bucket/photos" in errors
    before = pictures(server, "stopped/")
    assert before.items() < expected.items()
    assert len(before) == len(output.splitlines())
    left = records(server, "stopped/")
    assert {record["holder"] for record in left.values()} == {""}
    assert {name for name, record in left.items() if record["lines"]} == before.keys()
    server.fault = lambda request: None
    server.requests.clear()
    assert run(words("s3://bucket/stopped", "--strip", "--quiet")) == 0
    assert pictures(server, "stopped/") == expected
    written = [path for method, path in server.requests if method == "PUT" and path[-4:] == ".jpg"]
    assert len(written) == PHOTOS - len(before)


def test_no_credentials_are_written_or_printed(server, capfd):
    out = "s3://bucket/quiet"
    one = ["stylize", "s3://bucket/photos/1.jpg", "-s", "s3://bucket/style.jpg", "-o", out]
    assert run([*one, *OPTIONS, "--verbose"]) == 0
    said = "".join(capfd.readouterr())
    stored = b"".join(server.get(key) for key in server.keys("quiet/"))
    assert SECRET not in said
    assert SECRET.encode() not in stored


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (["s3://bucket/photos/[12].jpg"], {"1.jpg", "2.jpg"}),
        (["s3://bucket/photos/**/[03].jpg"], {"0.jpg", "3.jpg"}),
        (["s3://bucket/photos", "--exclude", "[2-9].jpg"], {"1.jpg"}),
        (["s3://bucket/photos", "-r", "--include", "May/**"], {f"May/{n}.jpg" for n in "0369"}),
        (["s3://bucket/photos/4.jpg", "--name", "{stem}-{style}"], {"4-style.jpg"}),
    ],
)
def test_patterns_and_names_are_those_of_folders(server, capsys, given, names):
    out = "s3://bucket/dry"
    more = ["-s", "s3://bucket/style.jpg", "-o", out, "--dry-run", *OPTIONS]
    assert run(["stylize", *given, *more]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert {line.partition(" -> ")[2].removeprefix(f"{out}/") for line in shown} == names
    assert server.keys("dry/") == []


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (["s3://bucket/none"], "There is no file or folder s3://bucket/none."),
        (["s3://nobucket/x"], "s3://nobucket/x cannot be read: There is no such"),
        (["s3://bucket/none/*.jpg"], "No file or folder matches s3://bucket/none/*.jpg."),
        (["s3://user:pw@bucket/photos"], "takes no credentials"),
        (["s3://bucket/photos", "-o", "https://x/y"], "cannot be written to"),
        (["s3://bucket/photos", "-o", "s3://bucket/o", "--report"], "--report needs an output"),
        (["s3://bucket/photos", "-o", "s3://bucket/o", "--snapshots", "2"], "--snapshots needs"),
    ],
)
def test_wrong_addresses_are_refused_in_a_sentence(server, capsys, given, reason):
    assert run(["stylize", *given, "-s", "s3://bucket/style.jpg", *OPTIONS]) == 2
    said = capsys.readouterr().err
    assert reason in said
    assert "pw" not in said


def test_a_store_without_conditional_writes_is_refused(server, capsys):
    def fault(request: dict[str, Any]) -> None:
        request.pop("HTTP_IF_NONE_MATCH", None)

    server.fault = fault
    assert run(words("s3://bucket/careless")) == 2
    assert "without regard to conditions" in capsys.readouterr().err
    assert server.keys("careless/") == []


def test_a_failed_photo_is_retried_from_the_records(server, capsys):
    server.put("some/good.jpg", picture(1))
    server.put("some/bad.jpg", b"no picture")
    some = ["stylize", "s3://bucket/some", "-s", "s3://bucket/style.jpg", *OPTIONS]
    assert run([*some, "-o", "s3://bucket/retried"]) == 1
    server.put("some/bad.jpg", picture(2))
    capsys.readouterr()
    assert run(["retry", "s3://bucket/retried"]) == 0
    assert capsys.readouterr().out.splitlines() == ["s3://bucket/retried/bad.jpg"]


def test_results_among_the_photos_are_left_out(server, capsys):
    server.put("mixed/1.jpg", picture(1))
    mixed = ["stylize", "s3://bucket/mixed", "-s", "s3://bucket/style.jpg", *OPTIONS]
    mixed += ["-o", "s3://bucket/mixed", "--name", "{stem}-painted"]
    assert run(mixed) == 0
    assert run(mixed) == 0
    assert "Left out: 1 picture" in capsys.readouterr().err
    assert pictures(server, "mixed/").keys() == {"1.jpg", "1-painted.jpg"}


def test_masks_and_every_style_come_from_the_store(server, capsys):
    for name, half in (("masks/1.png", slice(0, 32)), ("style-masks/a.png", slice(32, 64))):
        values = np.zeros((64, 64, 3), np.uint8)
        values[:, half] = 255
        file = io.BytesIO()
        Image.fromarray(values).save(file, "PNG")
        server.put(name, file.getvalue())
    server.put("styles/a.jpg", picture(50))
    given = ["s3://bucket/photos/1.jpg", "-s", "s3://bucket/styles", "--each-style"]
    given += ["--mask", "s3://bucket/masks", "--style-mask", "s3://bucket/style-masks"]
    assert run(["stylize", *given, "-o", "s3://bucket/masked", *OPTIONS]) == 0
    found = pictures(server, "masked/")
    assert found.keys() == {"1-a.jpg", "nstbatch-styles.jpg"}
    capsys.readouterr()
    assert run(["recipe", "s3://bucket/masked/1-a.jpg"]) == 0
    assert "--mask s3://bucket/masks/1.png" in capsys.readouterr().out


def test_a_picture_alone(server):
    one = ["stylize", "s3://bucket/photos/1.jpg", "-s", "s3://bucket/style.jpg", *OPTIONS]
    assert run([*one, "--strip", "-o", "s3://bucket/alone/result.png"]) == 0
    with Image.open(io.BytesIO(server.get("alone/result.png"))) as image:
        assert (image.format, image.size) == ("PNG", (48, 48))
    assert "alone/nstbatch.toml" not in server.keys("alone/")
