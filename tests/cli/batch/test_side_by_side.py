"""Several photos at a time: the outcomes, halts and errors."""

import threading
from pathlib import Path

import pytest

from nstbatch.cli.batch import side_by_side as module
from nstbatch.cli.batch.side_by_side import side_by_side
from nstbatch.cli.jobs.painting import Outcome, Status
from nstbatch.cli.jobs.plan import Job
from nstbatch.cli.jobs.reporter import OneByOne
from nstbatch.cli.output.survey import Entry, Standing

WAIT = 20  # seconds; for a test that hangs


def entries(count: int) -> list[Entry]:
    jobs = [Job(Path(f"{n}.png"), Path("out", f"{n}.png")) for n in range(count)]
    return [Entry(job, str(job.output), Standing.TO_DO, None) for job in jobs]


def done(entry: Entry) -> Outcome:
    return Outcome(entry.job.input, entry.job.output, Status.DONE)


def names(outcomes) -> list[str]:
    return [outcome.input.stem for outcome in outcomes]


def test_one_at_a_time_comes_in_order():
    assert names(side_by_side(done, entries(5), 1, threading.Event())) == list("01234")


def test_so_many_are_under_way_and_no_more():
    together, here, most = threading.Barrier(3), [], []

    def work(entry):
        here.append(entry)
        together.wait(WAIT)  # waits until there are three threads
        most.append(len(here))
        together.wait(WAIT)
        here.remove(entry)
        return done(entry)

    assert sorted(names(side_by_side(work, entries(6), 3, threading.Event()))) == list("012345")
    assert max(most) == 3


def test_each_is_told_as_soon_as_it_is_known():
    first_may_end = threading.Event()

    def work(entry):
        if entry.job.input.stem == "0":
            assert first_may_end.wait(WAIT)
        return done(entry)

    outcomes = side_by_side(work, entries(3), 2, threading.Event())
    assert [next(outcomes).input.stem, next(outcomes).input.stem] == ["1", "2"]
    first_may_end.set()
    assert names(outcomes) == ["0"]


def test_after_a_halt_no_job_starts_and_finished_ones_are_yielded():
    halt, begun, both = threading.Event(), [], threading.Barrier(2)

    def work(entry):
        begun.append(entry.job.input.stem)
        both.wait(WAIT)
        if entry.job.input.stem == "1":
            assert halt.wait(WAIT)
        return done(entry)

    outcomes = side_by_side(work, entries(5), 2, halt)
    assert next(outcomes).input.stem == "0"
    halt.set()
    assert names(outcomes) == ["1"]
    assert sorted(begun) == ["0", "1"]


def test_a_job_stopped_after_a_halt_is_no_interruption():
    halt, both = threading.Event(), threading.Barrier(2)

    def work(entry):
        both.wait(WAIT)
        if entry.job.input.stem == "0":
            return done(entry)
        assert halt.wait(WAIT)
        raise KeyboardInterrupt

    outcomes = side_by_side(work, entries(5), 2, halt)
    next(outcomes)
    halt.set()
    assert names(outcomes) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("gone"), RuntimeError("bug")])
def test_an_error_of_a_job_is_raised_when_all_threads_have_ended(error):
    halt, both, came_back = threading.Event(), threading.Barrier(2), []

    def work(entry):
        both.wait(WAIT)
        if entry.job.input.stem == "1":
            raise error
        assert halt.wait(WAIT)
        came_back.append(entry)
        return done(entry)

    outcomes = side_by_side(work, entries(5), 2, halt)
    assert next(outcomes).input.stem == "0"
    with pytest.raises(error if isinstance(error, type) else type(error)):
        next(outcomes)
    assert len(came_back) == 1


def test_no_thread_stays_if_the_caller_stops_listening():
    halt, ended = threading.Event(), []

    def work(entry):
        if entry.job.input.stem != "0":
            assert halt.wait(WAIT)
        ended.append(entry.job.input.stem)
        return done(entry)

    outcomes = side_by_side(work, entries(9), 2, halt)
    next(outcomes)
    outcomes.close()
    assert ended == ["0", "1"]


def test_a_job_claimed_by_another_process_is_tried_again(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.001)
    refusals = {"1": 3, "2": 1}

    def work(entry):
        stem = entry.job.input.stem
        if refusals.get(stem, 0):
            refusals[stem] -= 1
            return None
        return done(entry)

    outcomes = side_by_side(work, entries(4), 2, threading.Event())
    assert sorted(names(outcomes)) == list("0123")
    assert refusals == {"1": 0, "2": 0}


def test_it_is_not_asked_for_all_the_time(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    may_end, asked = threading.Event(), []

    def work(entry):
        if entry.job.input.stem == "0":
            assert may_end.wait(WAIT)
            return done(entry)
        asked.append(entry)
        if len(asked) < 4:
            return None
        may_end.set()
        return done(entry)

    waits = []
    monkeypatch.setattr(
        module, "wait", lambda *args, wait=module.wait: waits.append(args) or wait(*args)
    )
    assert sorted(names(side_by_side(work, entries(2), 2, threading.Event()))) == ["0", "1"]
    assert len(waits) >= 4  # one for every refusal, at least, and one for the end


def test_a_reporter_is_never_told_two_things_at_once():
    inside, together = [], threading.Barrier(4)

    class Fragile:
        def started(self, job):
            assert not inside
            inside.append(job)
            inside.remove(job)

        def progressed(self, job, progress):
            self.started(job)

        def finished(self, outcome):
            self.started(outcome.output)

    told = OneByOne(Fragile())

    def work(entry):
        together.wait(WAIT)
        for _ in range(300):
            told.started(entry.job)
            told.progressed(entry.job, None)
            told.finished(done(entry))
        return done(entry)

    assert len(list(side_by_side(work, entries(4), 4, threading.Event()))) == 4
