"""The queue: what is on disk is what counts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nstbatch.cli.service.job import End, Job, Order, State
from nstbatch.cli.service.job_queue import JobQueue
from nstbatch.cli.service.limits import RefusedError
from nstbatch.runtime.errors import UsageError

from .conftest import LIMITS

DONE = End(State.DONE, picture="painted/photo.jpg", seconds=7.2, steps=3, losses={"total": 1.0})


def add(queue: JobQueue, number: int) -> Job:
    folder = queue.reserve()
    folder.mkdir()
    (folder / "photo.jpg").write_bytes(b"photo")
    order = Order(f"{number:024x}", number, "a.jpg", "photo.jpg", "waves", None, {"size": ["64"]})
    try:
        return queue.accept(order, folder)
    finally:
        queue.release(folder)


def finish_next(queue: JobQueue) -> None:
    job = queue.next()
    assert job is not None
    queue.finish(job, DONE)


def test_a_service_that_was_killed_knows_its_jobs(tmp_path: Path) -> None:
    with JobQueue(tmp_path, LIMITS) as queue:
        jobs = [add(queue, number) for number in range(4)]
        assert queue.next() is jobs[0]
        queue.finish(jobs[0], DONE)
        assert queue.next() is jobs[1]  # and is killed here
        (queue.reserve()).mkdir()  # with an upload under way
    (tmp_path / f"{9:024x}").mkdir()  # somebody else's
    with JobQueue(tmp_path, LIMITS) as queue:
        assert list((tmp_path / ".incoming").iterdir()) == []
        assert (tmp_path / f"{9:024x}").exists()
        found = queue.latest(10, None)[::-1]
        assert [job.order for job in found] == [job.order for job in jobs]
        assert [job.state for job in found] == [State.DONE, *[State.WAITING] * 3]
        assert found[0].end == DONE
        assert queue.next() is found[1]


def test_a_damaged_file_costs_one_job(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with JobQueue(tmp_path, LIMITS) as queue:
        broken, other, newer = (add(queue, number) for number in range(3))
    (broken.folder / "job.json").write_text("{")
    record = json.loads((newer.folder / "job.json").read_text())
    (newer.folder / "job.json").write_text(json.dumps(record | {"format": 99}))
    with JobQueue(tmp_path, LIMITS) as queue:
        assert [job.order.id for job in queue.latest(10, None)] == [other.order.id]
    assert broken.photo.exists()
    assert len(caplog.records) == 2


def test_uploads_under_way_count(tmp_path: Path) -> None:
    with JobQueue(tmp_path, replace(LIMITS, waiting=2)) as queue:
        first, second = queue.reserve(), queue.reserve()
        with pytest.raises(RefusedError) as raised:
            queue.reserve()
        assert (raised.value.status, raised.value.headers["Retry-After"]) == (429, "1")
        queue.release(first)
        queue.release(second)
        for number in range(2):
            add(queue, number)
        finish_next(queue)
        queue.reserve()
        with pytest.raises(RefusedError) as raised:
            queue.reserve()
        assert raised.value.headers["Retry-After"] == "8"  # as long as the last job took


def test_the_oldest_finished_jobs_go(tmp_path: Path) -> None:
    with JobQueue(tmp_path, replace(LIMITS, kept=2)) as queue:
        jobs = [add(queue, number) for number in range(4)]
        for _ in range(3):
            finish_next(queue)
        assert [job.folder.exists() for job in jobs] == [False, True, True, True]
        assert [job.state.value for job in queue.latest(9, None)] == ["waiting", "done", "done"]
        with pytest.raises(RefusedError):
            queue.get(jobs[0].order.id)


def test_a_removed_job_is_gone_whatever_its_painter_does(tmp_path: Path) -> None:
    with JobQueue(tmp_path, LIMITS) as queue:
        jobs = [add(queue, number) for number in range(3)]
        finishing, stopping = queue.next(), queue.next()
        assert finishing is not None
        assert stopping is not None
        for job in jobs:
            queue.remove(job)
            queue.remove(job)
            assert job.removed.is_set()
        queue.finish(finishing, DONE)
        queue.put_back(stopping)
        assert [job.folder.exists() for job in jobs] == [False] * 3
        assert queue.counts() == {"waiting": 0, "running": 0, "done": 0, "failed": 0}
        queue.close()
        assert queue.next() is None


def test_a_job_that_was_removed_while_it_ran_does_not_come_back(tmp_path: Path) -> None:
    with JobQueue(tmp_path, LIMITS) as queue:
        job = add(queue, 0)
        assert queue.next() is job
        queue.remove(job)  # and the service is killed here
        assert job.photo.exists()
    with JobQueue(tmp_path, LIMITS) as queue:
        assert queue.latest(9, None) == []
        assert not job.folder.exists()


def test_a_stopped_job_is_the_next_one(tmp_path: Path) -> None:
    with JobQueue(tmp_path, LIMITS) as queue:
        jobs = [add(queue, number) for number in range(2)]
        assert queue.next() is jobs[0]
        queue.put_back(jobs[0])
        assert jobs[0].state is State.WAITING
        assert queue.next() is jobs[0]


def test_a_folder_has_one_service(tmp_path: Path) -> None:
    with (
        JobQueue(tmp_path, LIMITS),
        pytest.raises(UsageError, match="Another service"),
        JobQueue(tmp_path, LIMITS),
    ):
        pass
    with JobQueue(tmp_path, LIMITS):
        pass
