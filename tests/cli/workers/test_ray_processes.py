"""Which workers of a Ray cluster a command asks for, and what it refuses."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from nstbatch.cli.jobs.plan import Job, Plan
from nstbatch.cli.output.picture_writer import PictureWriter
from nstbatch.cli.workers import ray_processes
from nstbatch.cli.workers.choice import processes_of
from nstbatch.cli.workers.ray_processes import ON_A_GPU, RayProcesses
from nstbatch.runtime.errors import UsageError

RAY = {"engine": "ray", "address": None, "device": "auto", "gpus": None, "jobs": None}


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def asked(**settings: object) -> RayProcesses:
    found = processes_of({**RAY, "threads": None, **settings})  # type: ignore[dict-item]
    assert isinstance(found, RayProcesses)
    return found


@pytest.mark.parametrize(
    ("settings", "devices", "description"),
    [
        ({"jobs": 1}, ("auto",), "1 Ray worker of 1 CPU"),
        ({"jobs": 2, "threads": 4, "device": "cpu"}, ("cpu",) * 2, "2 Ray workers of 4 CPUs"),
        ({"gpus": "2"}, ("cuda",) * 2, "2 Ray workers of 1 CPU and 1 GPU"),
        ({"gpus": "1", "device": "tensorrt"}, ("tensorrt",), "1 Ray worker of 1 CPU and 1 GPU"),
        ({"jobs": 1, "device": "cuda"}, ("cuda",), "1 Ray worker of 1 CPU and 1 GPU"),
    ],
)
def test_the_workers(settings: dict[str, object], devices: tuple[str], description: str) -> None:
    found = asked(**settings)
    assert found.devices == devices
    assert found.description == description
    assert found.paint
    assert found.are_elsewhere
    assert found.at_once(2) == len(devices) * (ON_A_GPU if "GPU" in description else 2)
    assert len(found.at_most(1)) == 1


def test_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(jobs=1).address == "local"
    assert asked(jobs=1, address="10.0.0.1:6379").address == "10.0.0.1:6379"
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    assert asked(jobs=1).address == "auto"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"needs the number of its workers: give --jobs, or --gpus"),
        ({"jobs": 1, "gpus": "1"}, r"--jobs and --gpus exclude each other"),
        ({"gpus": "all"}, r"--gpus takes a number from 1 on, not 'all'"),
        ({"gpus": "1", "device": "cpu"}, r"this batch is for the device 'cpu'"),
        ({"jobs": 1, "device": "cuda:0,cuda:1"}, r"Ray chooses the GPU.*give --device cuda,"),
        ({"jobs": 1, "device": "cdua"}, r"Unknown device 'cdua'"),
        ({"jobs": 1, "address": "ray://head:10001"}, r"is that of Ray Client"),
        ({"engine": "rey"}, r"Unknown engine 'rey'"),
        ({"engine": "local", "address": "auto"}, r"--address goes only with --engine ray"),
    ],
)
def test_what_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        asked(**settings)


def test_ray_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        assert name == "ray"

    monkeypatch.setattr(ray_processes, "find_spec", missing)
    with pytest.raises(UsageError, match=r"needs Ray, which is not installed.*nstbatch\[ray\]"):
        asked(jobs=1)
    assert importlib.util.find_spec("ray")


def test_the_words_of_a_worker() -> None:
    words = ("stylize", "--engine", "ray", "--jobs", "2", "--address", "auto", "--", "-b.jpg")
    plan = Plan((Job(Path("-b.jpg"), Path("out/-b.jpg")),))
    found = asked(jobs=2, threads=3, device="cpu", address="auto")
    starts = list(found.starts(words, plan, PictureWriter()))
    own = ["--engine", "local", "--address", "", "--jobs", "1", "--threads", "3", "--device", "cpu"]
    assert [start.words for start in starts] == [(*words[:-2], *own, *words[-2:])] * 2
    settings = {**RAY, "engine": "local", "address": "", "jobs": 1, "device": "cpu"}
    assert len(processes_of(settings)) == 1  # type: ignore[arg-type]
