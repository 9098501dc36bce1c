"""The service as its clients meet it."""

from __future__ import annotations

import io
import json
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from many_uploads import EXPECTED, OPTIONS, STYLE, jpeg, send_all, wait_for_ends
from PIL import Image

from .conftest import LIMITS, Parts, Start

ENDLESS = {"size": "48", "iterations": "100000", "scales": "1"}


def upload(parts: Parts, options: dict[str, Any] | None = None, **files: bytes) -> Any:
    named = {} if "style" in files else {"style": STYLE}
    fields = (OPTIONS if options is None else options) | named
    sent = {"photo": jpeg(0)} | files
    return parts.client.post("/jobs", data=fields, files=named_files(sent))


def named_files(files: dict[str, bytes]) -> dict[str, tuple[str, bytes]]:
    return {name: (f"my {name}.jpg", data) for name, data in files.items()}


def ended(parts: Parts, job: str) -> Any:
    until = time.monotonic() + 60
    while (view := parts.client.get(f"/jobs/{job}").json())["state"] not in ("done", "failed"):
        assert time.monotonic() < until
        time.sleep(0.05)
    return view


def running(parts: Parts, job: str) -> None:
    until = time.monotonic() + 60
    while parts.client.get(f"/jobs/{job}").json()["progress"] is None:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_photo_is_painted(start: Start) -> None:
    with start() as parts:
        answer = upload(parts)
        assert answer.status_code == 202
        job = answer.json()["id"]
        assert answer.headers["location"] == f"/jobs/{job}"
        view = ended(parts, job)
        assert (view["state"], view["name"], view["style"]) == ("done", "my photo.jpg", STYLE)
        assert view["options"] == OPTIONS
        assert (view["result"]["width"], view["result"]["steps"]) == (32, 1)
        found = parts.client.get(view["result"]["picture"])
        assert found.headers["content-type"] == "image/jpeg"
        picture = Image.open(io.BytesIO(found.content))
        assert (picture.format, picture.size) == ("JPEG", (32, 32))
        assert str(parts.queue.folder).encode() not in found.content  # no recipe with paths of here
        assert parts.client.get("/health").json() == {
            "status": "ok",
            "jobs": {"waiting": 0, "running": 0, "done": 1, "failed": 0},
        }
        assert parts.client.get("/styles").json() == [STYLE]
        assert parts.client.delete(f"/jobs/{job}").status_code == 204
        assert parts.client.get(f"/jobs/{job}").status_code == 404
        assert not (parts.queue.folder / job).exists()


def test_a_style_may_be_sent_and_options_of_the_command_line_too(start: Start) -> None:
    with start() as parts:
        options = OPTIONS | {
            "preset": "fast",
            "format": "png",
            "style-weight": "3",
            "histogram": "true",
        }
        view = ended(parts, upload(parts, options, style=jpeg(1)).json()["id"])
        assert (view["state"], view["style"]) == ("done", None)
        found = parts.client.get(view["result"]["picture"])
        assert Image.open(io.BytesIO(found.content)).format == "PNG"
        assert "my%20photo.png" in found.headers["content-disposition"]


def test_events_tell_the_progress_until_the_end(start: Start) -> None:
    with start() as parts:
        job = upload(parts, OPTIONS | {"iterations": "40"}).json()["id"]
        with parts.client.stream("GET", f"/jobs/{job}/events") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            text = "".join(answer.iter_text())
        lines = text.splitlines()
        names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
        views = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
        assert names == ["progress"] * (len(names) - 1) + ["done"]
        steps = [view["progress"]["step"] for view in views if view["progress"]]
        assert steps == sorted(steps)
        assert views[-1]["result"]["steps"] == 40


@pytest.mark.parametrize(
    ("options", "files", "status", "said"),
    [
        ({"size": "65"}, {}, 422, "this service allows 64"),
        ({"size": "own"}, {}, 422, "max_size"),
        ({"size": "many"}, {}, 422, "no number of pixels"),
        ({"iterations": "100001"}, {}, 422, "number of iterations is 100001"),
        ({"style_size": "4000"}, {}, 422, "size of the style"),
        ({"preset": "slow"}, {}, 422, "Unknown preset"),
        ({"sise": "32"}, {}, 422, "Did you mean 'size'"),
        ({"mask": "/etc/passwd"}, {}, 422, "Unknown option"),
        ({"init": "/etc/passwd"}, {}, 422, "init must be one of"),
        ({"histogram": "perhaps"}, {}, 422, "true or false"),
        ({"style_layers": "none"}, {}, 422, "none"),
        ({"style": "nothing"}, {}, 422, "Known: waves"),
        ({"style": ["waves", "waves"]}, {}, 422, "one style"),
        ({"style": "waves"}, {"style": jpeg(1)}, 422, "one style"),
        ({}, {"mask": jpeg(1)}, 422, "may be files"),
        ({}, {"photo": b""}, 415, "no picture"),
        ({}, {"photo": b"text" * 99}, 415, "no picture"),
        ({}, {"photo": jpeg(0)[:900]}, 422, "truncated"),
        ({}, {"style": jpeg(0)[:900]}, 422, "style cannot be used"),
        ({}, {"photo": bytes(300_000)}, 413, "200,000 bytes"),
    ],
)
def test_a_bad_upload_is_refused_with_a_sentence_and_leaves_nothing(
    start: Start, options: dict[str, Any], files: dict[str, bytes], status: int, said: str
) -> None:
    with start(paints=False) as parts:
        given = OPTIONS | ({} if "style" in files else {"style": STYLE})
        sent = named_files({"photo": jpeg(0)} | files)
        answer = parts.client.post("/jobs", data=given | options, files=sent)
        assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text
        assert parts.left_over == []
        assert parts.client.get("/jobs").json() == []


def test_bombs_are_refused(start: Start, make_bomb: Any) -> None:
    with start(paints=False) as parts:
        answer = upload(parts, photo=make_bomb(20_000))
        assert answer.status_code == 422
        assert "too many" in answer.json()["detail"]
        assert parts.left_over == []


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data", "application/json"])
def test_only_forms_are_taken(start: Start, kind: str) -> None:
    with start(paints=False) as parts:
        answer = parts.client.post("/jobs", content=b"x" * 100, headers={"Content-Type": kind})
        assert answer.status_code == 415
        assert "multipart/form-data" in answer.json()["detail"]


def test_a_full_queue_says_when_to_come_again(start: Start) -> None:
    with start(replace(LIMITS, waiting=2), paints=False) as parts:
        assert [upload(parts).status_code for _ in range(2)] == [202, 202]
        refused = upload(parts)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["detail"].startswith("Too many jobs")
        jobs = parts.client.get("/jobs").json()
        assert [job["ahead"] for job in jobs] == [1, 0]  # the newest first
        parts.client.delete(f"/jobs/{jobs[0]['id']}")
        assert upload(parts).status_code == 202
        assert len(parts.client.get("/jobs?limit=1").json()) == 1
        assert parts.client.get("/jobs?state=done").json() == []
        assert "limit" in parts.client.get("/jobs?limit=0").json()["detail"]


def test_a_running_job_is_cancelled(start: Start) -> None:
    with start() as parts:
        job = upload(parts, ENDLESS).json()["id"]
        running(parts, job)
        assert parts.client.get(f"/jobs/{job}/picture").status_code == 409
        assert parts.client.delete(f"/jobs/{job}").status_code == 204
        assert parts.client.get(f"/jobs/{job}").status_code == 404
        after = ended(parts, upload(parts).json()["id"])  # its painter has time for the next
        assert after["state"] == "done"
        until = time.monotonic() + 30
        while (parts.queue.folder / job).exists():
            assert time.monotonic() < until
            time.sleep(0.05)


def test_a_job_that_fails_says_why(start: Start) -> None:
    with start() as parts:
        tiny = io.BytesIO()
        Image.new("RGB", (1, 1)).save(tiny, "PNG")
        view = ended(parts, upload(parts, photo=tiny.getvalue()).json()["id"])
        assert view["state"] == "failed"
        assert "1x1" in view["reason"]
        answer = parts.client.get(f"/jobs/{view['id']}/picture")
        assert answer.status_code == 409
        assert "1x1" in answer.json()["detail"]


def test_a_picture_that_was_taken_away_is_gone(start: Start) -> None:
    with start() as parts:
        view = ended(parts, upload(parts).json()["id"])
        parts.queue.get(view["id"]).picture.unlink()
        assert parts.client.get(view["result"]["picture"]).status_code == 410


def test_many_clients_at_once(start: Start) -> None:
    kinds = ["photo", "photo with its style", *EXPECTED] * 3
    with start(listens=True, together=2) as parts:
        answers = send_all(parts.port, kinds, largest=LIMITS.upload)
        wrong = [each for each in answers if each.status != EXPECTED[each.kind]]
        assert wrong == []
        assert sum(each.refused for each in answers) > 0  # the queue was full at times
        jobs = [each.job for each in answers if each.job is not None]
        views = wait_for_ends(parts.port, jobs, 60)
        assert Counter(view["state"] for view in views.values()) == {"done": len(jobs)}
        assert parts.left_over == []
        there = {
            path.name for path in parts.queue.folder.iterdir() if not path.name.startswith(".")
        }
        assert there == set(jobs)


def test_the_page_and_the_description(start: Start) -> None:
    with start(paints=False) as parts:
        page = parts.client.get("/")
        assert "default-src 'self'" in page.headers["content-security-policy"]
        assert "page.js" in page.text
        for name in ("page.js", "page.css"):
            assert parts.client.get(f"/{name}").status_code == 200
        described = parts.client.get("/openapi.json").json()
        content = described["paths"]["/jobs"]["post"]["requestBody"]["content"]
        properties = content["multipart/form-data"]["schema"]["properties"]
        assert {"photo", "style", "size", "preset", "seed"} <= set(properties)
        assert not {"mask", "init_image", "out", "method"} & set(properties)
