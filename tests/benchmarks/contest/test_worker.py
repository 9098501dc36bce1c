"""Contestants in their own processes, and the errors of those that fail."""

import os
import signal

import pytest

from nstbatch.benchmarks.contest.worker import (
    Job,
    Worker,
    as_contestant_error,
    reporting_failures,
    serve,
)
from nstbatch.benchmarks.options import Entry
from nstbatch.benchmarks.tasks.tasks import make_task
from nstbatch.benchmarks.tasks.turns import AbsentError, ContestantError
from nstbatch.runtime.errors import ProviderError, UsageError


def fails(pipe, job):
    with reporting_failures(pipe, threads=1):
        pipe.send(os.environ["OMP_NUM_THREADS"])
        pipe.recv()
        raise ValueError(f"{job}\nand a second line")


def is_killed(pipe, job):
    os.kill(os.getpid(), signal.SIGKILL)


def leaves(pipe, job):
    os._exit(3)


def test_a_contestant_has_its_turns():
    task = make_task("stylize", "squeezenet1_1", 48, 1)
    with Worker(serve, Job(Entry("cpu"), task, threads=1, warm_up=2, steps=3)) as worker:
        opened = worker.answer()
        turns = [worker.turn(), worker.turn()]
    assert (opened.precision, opened.device) == ("fp32", "cpu")
    assert opened.images.shape == task.images.shape
    assert abs(opened.images - task.images).max() > 0.01  # two steps of Adam
    assert opened.start_seconds > 0
    assert opened.peak_bytes is None or opened.peak_bytes > 2**25
    assert [len(turn.samples_ms) for turn in turns] == [3, 3]
    assert all(turn.matrix_rate > 0 and min(turn.samples_ms) > 0 for turn in turns)


def test_a_device_that_is_not_there_says_so(monkeypatch):
    task = make_task("stylize", "squeezenet1_1", 48, 1)
    job = Job(Entry("cpu", "bf16"), task, threads=1, warm_up=1, steps=1)
    with Worker(serve, job) as worker, pytest.raises(AbsentError, match="not in bf16"):
        worker.answer()


def test_a_failure_is_one_line_and_a_traceback():
    with Worker(fails, "broken") as worker:
        assert worker.answer() == "1"
        with pytest.raises(ContestantError) as caught:
            worker.turn()
    assert str(caught.value) == "ValueError: broken"
    assert "in fails" in caught.value.details


def test_who_dies_is_noticed():
    with Worker(leaves, None) as worker:
        with pytest.raises(ContestantError, match="exit code 3"):
            worker.answer()
        with pytest.raises(ContestantError, match="exit code 3"):
            worker.turn()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal")
def test_who_is_killed_may_have_been_short_of_memory():
    with Worker(is_killed, None) as worker, pytest.raises(ContestantError, match="not enough mem"):
        worker.answer()


def sleeps(pipe, job):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pipe.send("ready")
    signal.pause()


@pytest.mark.skipif(not hasattr(signal, "pause"), reason="there is no such call")
def test_an_interrupt_ends_the_process_at_once():
    worker = Worker(sleeps, None)
    assert worker.answer() == "ready"
    worker.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert not worker._process.is_alive()


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (ProviderError("not here"), AbsentError, "not here"),
        (UsageError("no"), ContestantError, "no"),
        (MemoryError(), ContestantError, "there is not enough memory for it"),
        (RuntimeError("a\nb"), ContestantError, "RuntimeError: a"),
        (RuntimeError(), ContestantError, "RuntimeError: "),
        (AbsentError("gone"), AbsentError, "gone"),
    ],
)
def test_reasons(error, kind, reason):
    found = as_contestant_error(error)
    assert type(found) is kind
    assert str(found) == reason


def test_pytorch_that_does_not_load_is_absent(monkeypatch):
    import sys

    from nstbatch.benchmarks.contest.worker import open_contestant

    monkeypatch.setitem(sys.modules, "nstbatch.benchmarks.peers.peers", None)
    with pytest.raises(AbsentError, match="PyTorch does not load"):
        open_contestant(Job(Entry("torch"), None, threads=1, warm_up=1, steps=1))
