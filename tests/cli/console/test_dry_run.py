"""Estimates are rough, and name their basis."""

from dataclasses import replace

import pytest

from nstbatch.cli.console.dry_run import estimate
from nstbatch.cli.jobs.effort import Effort
from nstbatch.cli.output.ledger import Ledger
from nstbatch.cli.workers.processes import Processes

SHAPE = (341, 512)
DEFAULT = Effort(300, tuple, lambda shape, pictures: 3 * 10**7 * shape[0])


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    return Ledger(tmp_path)


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr("nstbatch.runtime.devices.processor.available_cores", lambda: 2)


def painted(ledger: Ledger, output: str, seconds: float, run: str = "r", **changes) -> None:
    line = {"kind": "image", "run": run, "input": "a", "output_in_folder": output}
    line |= {"status": "done", "seconds": seconds, "steps": 100, "width": 1000, "height": 500}
    ledger.append(line | changes)
    ledger.refresh()


def test_without_a_ledger_it_goes_by_the_documents(ledger):
    # README.md: up to four minutes a photo on two cores
    assert estimate(1, [SHAPE], DEFAULT, ledger, "vgg16") == (
        ": very roughly 3 min 51 s on the CPU, and 10.2 GB of memory"
    )
    assert "very roughly 19.4 s" in estimate(1, [SHAPE], DEFAULT, ledger, "alexnet")
    assert "38 min 30 s" in estimate(10, [SHAPE], DEFAULT, ledger, "vgg16")


def test_time_goes_by_the_mean_picture_and_memory_by_the_largest(ledger):
    shapes = [SHAPE, (682, 512)]
    found = estimate(
        2,
        shapes,
        replace(DEFAULT, memory=lambda shape, pictures: pictures * shape[0] * 10**7),
        ledger,
        "",
    )
    assert found == ": very roughly 11 min 32 s on the CPU, and 13.6 GB of memory"
    unknown = replace(DEFAULT, memory=lambda shape, pictures: None)
    assert estimate(2, shapes, unknown, ledger, "").endswith("on the CPU")


def test_with_a_ledger_the_estimate_uses_its_times(ledger):
    ledger.append({"kind": "run", "run": "r", "bundle": {"name": "vgg16"}})
    for number, seconds in enumerate((50, 100, 5000)):  # the median is 2 s a megapixel step
        painted(ledger, f"{number}.png", seconds)
    half = Effort(100, tuple)
    measured = estimate(3, [(500, 1000)], half, ledger, "vgg16")
    assert measured.startswith(": about 5 min 00 s, estimated from the ledger")
    assert estimate(3, [SHAPE], half, ledger, "alexnet").startswith(": very roughly")


@pytest.mark.parametrize("changes", [{"steps": 0}, {"width": 0}, {"status": "failed"}])
def test_lines_without_steps_or_size_are_left_out(ledger, changes):
    ledger.append({"kind": "run", "run": "r", "bundle": {"name": "vgg16"}})
    painted(ledger, "a.png", 50, **changes)
    assert estimate(1, [SHAPE], DEFAULT, ledger, "vgg16").startswith(": very roughly")


@pytest.mark.parametrize("bundle", [None, "vgg16", {}])
def test_a_run_that_is_not_known_is_left_out(ledger, bundle):
    ledger.append({"kind": "run", "run": "r", "bundle": bundle})
    painted(ledger, "a.png", 50)
    painted(ledger, "b.png", 50, run="unknown")
    assert estimate(1, [SHAPE], DEFAULT, ledger, "vgg16").startswith(": very roughly")


def test_processes_on_cores_share_the_time_and_add_their_memory(ledger):
    whole = estimate(4, [SHAPE], DEFAULT, ledger, "vgg16")
    apart = estimate(4, [SHAPE], DEFAULT, ledger, "vgg16", Processes(("cpu",) * 2, True))
    assert whole == ": very roughly 15 min 24 s on the CPU, and 10.2 GB of memory"
    assert apart == ": very roughly 15 min 24 s on the CPU, and 20.5 GB of memory"


def test_processes_on_gpus_divide_the_time_and_have_memory_each(ledger):
    ledger.append({"kind": "run", "run": "r", "bundle": {"name": "vgg16"}, "settings": {}})
    painted(ledger, "a.png", 30)
    half, gpus = Effort(50, tuple, lambda shape, pictures: 10**9), ("cuda:0", "cuda:1")
    found = estimate(6, [(500, 1000)], half, ledger, "vgg16", Processes(gpus), on_gpu=True)
    assert found == ": about 45.0 s, estimated from the ledger, and 1.0 GB of GPU memory each"


def test_times_of_processes_that_shared_a_processor_count_for_all_of_it(ledger):
    ledger.append({"kind": "run", "run": "r", "bundle": {"name": "vgg16"}, "settings": {"jobs": 2}})
    painted(ledger, "a.png", 30)
    half = Effort(50, tuple)
    found = estimate(6, [(500, 1000)], half, ledger, "vgg16")
    assert found == ": about 45.0 s, estimated from the ledger"
