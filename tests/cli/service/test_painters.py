"""Painters: what goes wrong is said, and what is stopped goes on."""

from __future__ import annotations

import time
from typing import Any

import many_uploads
import pytest

from nstbatch.cli.batch.batch import Summary
from nstbatch.cli.library.batch import Batch
from nstbatch.cli.service.job import State

from .conftest import Parts, Start


def upload(parts: Parts, **more: str) -> str:
    fields = many_uploads.OPTIONS | {"style": many_uploads.STYLE} | more
    photo = {"photo": ("a.jpg", many_uploads.jpeg(0))}
    answer = parts.client.post("/jobs", data=fields, files=photo)
    assert answer.status_code == 202
    job: str = answer.json()["id"]
    return job


def wait(parts: Parts, job: str) -> Any:
    until = time.monotonic() + 60
    while not (found := parts.queue.get(job)).state.is_end:
        assert time.monotonic() < until
        time.sleep(0.05)
    return found.end


def test_a_stopped_service_goes_on_when_it_is_started_again(start: Start) -> None:
    with start() as parts:
        job = upload(parts, size="48", iterations="100")
        until = time.monotonic() + 60
        while parts.queue.get(job).progress is None:
            assert time.monotonic() < until
            time.sleep(0.01)
    with start() as parts:
        end = wait(parts, job)
        assert (end.state, end.steps) == (State.DONE, 100)


def test_a_picture_whose_end_was_not_noted_is_not_painted_again(start: Start) -> None:
    with start() as parts:
        job = parts.queue.get(upload(parts))
        end = wait(parts, job.order.id)
        before = job.picture.stat().st_mtime_ns
        (job.folder / "job.json").write_bytes(job.record(None))
    with start() as parts:
        assert wait(parts, job.order.id) == end
        assert job.picture.stat().st_mtime_ns == before


def test_a_style_that_is_gone_fails_the_job(start: Start) -> None:
    with start(paints=False) as parts:
        job = upload(parts)
        (parts.queue.folder.parent / "styles" / "waves.jpg").unlink()
    with start() as parts:
        end = wait(parts, job)
        assert end.state is State.FAILED
        assert "Unknown style: 'waves'" in end.reason


def test_a_fault_of_the_machine_is_told_until_it_is_over(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Summary({}, 1, False, 0.0, "Nothing more can be written, No space left on device.")
    with start() as parts:
        with monkeypatch.context() as patch:
            patch.setattr(Batch, "run", lambda *args, **more: full)
            end = wait(parts, upload(parts))
        assert (end.state, end.reason) == (State.FAILED, full.fault)
        answer = parts.client.get("/health")
        assert answer.status_code == 503
        assert "No space left" in answer.json()["status"]
        assert wait(parts, upload(parts)).state is State.DONE
        assert parts.client.get("/health").status_code == 200


def test_a_fault_of_this_program_fails_one_job(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **more: object) -> Summary:
        raise ZeroDivisionError("by zero")

    with start() as parts:
        with monkeypatch.context() as patch:
            patch.setattr(Batch, "run", broken)
            assert "ZeroDivisionError" in wait(parts, upload(parts)).reason
        assert wait(parts, upload(parts)).state is State.DONE
