"""Which processes a command starts, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from nstbatch.cli.jobs.plan import Job, Plan
from nstbatch.cli.output.picture_writer import PictureWriter
from nstbatch.cli.workers.processes import Processes
from nstbatch.runtime.devices import named_gpus, nvidia, processor
from nstbatch.runtime.errors import UsageError

WRITER = PictureWriter()
ALONE = {"device": "cpu", "gpus": None, "jobs": None, "threads": None}


@pytest.fixture(autouse=True)
def two_gpus_and_eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (named_gpus, nvidia):
        monkeypatch.setattr(module, "gpu_count", lambda: 2)
    monkeypatch.setattr(processor, "available_cores", lambda: 8)


@pytest.mark.parametrize(
    ("settings", "devices"),
    [
        ({}, ("cpu",)),
        ({"jobs": 1}, ("cpu",)),
        ({"jobs": 3}, ("cpu", "cpu", "cpu")),
        ({"device": "cuda:1"}, ("cuda:1",)),
        ({"device": "cuda:1, cuda:0"}, ("cuda:1", "cuda:0")),
        ({"device": "cuda", "gpus": "all"}, ("cuda:0", "cuda:1")),
        ({"device": "tensorrt", "gpus": "1"}, ("tensorrt:0",)),
        ({"device": "cuda:1", "gpus": "1"}, ("cuda:1",)),  # as worker processes are started
    ],
)
def test_the_devices_of_the_processes(settings: dict[str, object], devices: tuple[str]) -> None:
    found = Processes.of({**ALONE, **settings})  # type: ignore[dict-item]
    assert found.devices == devices
    assert found.on_processor == (settings.get("jobs") == 3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "cuda:2"}, r"Unknown device 'cuda:2'.*Known: cuda:0, cuda:1"),
        ({"device": "cuda:x"}, r"Unknown device 'cuda:x'"),
        ({"device": "cuda:0,cuda:0"}, r"'cuda:0' is named twice"),
        ({"device": "cuda:0,cuda:00"}, r"'cuda:00' is named twice"),
        ({"device": "cuda:0,tensorrt:1"}, r"GPUs of one kind"),
        ({"device": "cuda,cuda:1"}, r"with their numbers"),
        ({"device": "cpu,cpu"}, r"with their numbers"),
        ({"device": "cpu:0"}, r"'cpu:0' has one"),
        ({"device": "cuda", "gpus": "3"}, r"There are 2 GPUs here, and --gpus asks for 3"),
        ({"device": "cuda", "gpus": "0"}, r"a number from 1 on"),
        ({"device": "cuda", "gpus": "some"}, r"a number from 1 on"),
        ({"device": "cuda:0,cuda:1", "gpus": "1"}, r"exclude each other"),
        ({"device": "cpu", "gpus": "all"}, r"this batch is for the device 'cpu'"),
        ({"device": "cuda:0,cuda:1", "jobs": 2}, r"leave --jobs out"),
        ({"device": "cuda", "gpus": "2", "jobs": 2}, r"leave --jobs out"),
        ({"device": "cuda:1", "jobs": 2}, r"this batch is for 'cuda'"),
    ],
)
def test_what_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Processes.of({**ALONE, **settings})  # type: ignore[dict-item]


def test_no_more_processes_than_cores_or_photos(caplog: pytest.LogCaptureFixture) -> None:
    found = Processes.of({**ALONE, "jobs": 20})
    assert len(found) == 8
    assert "Starting 8 processes, not 20" in caplog.text
    assert [len(found.at_most(photos)) for photos in (0, 1, 3, 100)] == [1, 1, 3, 8]


def test_the_words_of_a_worker_process() -> None:
    words = ("stylize", "--jobs", "3", "--style", "a.jpg", "--", "-b.jpg")
    plan = Plan((Job(Path("-b.jpg"), Path("out/-b.jpg")),))
    starts = list(Processes(("cpu",) * 3, on_processor=True).starts(words, plan, WRITER))
    own = ("--device", "cpu", "--threads", "2", "--jobs", "1", "--", "-b.jpg")
    assert [start.words for start in starts] == [(*words[:-2], *own)] * 3
    assert {start.plan for start in starts} == {plan}


def test_the_words_of_processes_on_gpus() -> None:
    words = ("stylize", "a.jpg", "--gpus", "all", "--threads", "9")
    starts = list(Processes(("cuda:0", "cuda:1"), threads=9).starts(words, Plan(()), WRITER))
    assert [start.words[-6:] for start in starts] == [
        ("--device", f"cuda:{gpu}", "--threads", "4", "--gpus", "1") for gpu in (0, 1)
    ]
    assert [start.cores for start in starts] == [frozenset(), frozenset()]


def test_the_processes_in_words() -> None:
    assert Processes(("cpu",) * 4, True).description == "4 processes of 2 threads"
    on_gpus = Processes(("cuda:0", "cuda:1")).description
    assert on_gpus == "2 processes, on cuda:0, cuda:1"
