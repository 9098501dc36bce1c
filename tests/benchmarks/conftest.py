"""Rows and reports like those of a benchmark, made without running one."""

from collections.abc import Callable

import pytest

from nstbatch.benchmarks.contest.contest import measured_row, with_ratios
from nstbatch.benchmarks.contest.worker import Opened
from nstbatch.benchmarks.reports.report import Case, Report, Row, Stages
from nstbatch.benchmarks.tasks.turns import Turn

MACHINE = {
    "processor": "Abacus 2",
    "cores": 2,
    "bf16": False,
    "memory_bytes": 2**34,
    "gpu": None,
    "system": "Linux x86_64",
    "threads": 2,
    "load": 0.1,
    "python": "3.12.0",
    "packages": {"nstbatch": "0.1.0"},
}
OPTIONS = {"verb": "stylize", "model": "vgg16", "threads": 2, "rounds": 3, "steps": 2}


@pytest.fixture
def one_thread():
    """Restore PyTorch's number of threads in this process after a test of a contestant."""
    import torch

    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def make_row() -> Callable[..., Row]:
    """A function (provider, samples by round, size=, batch=, ...) -> a row without ratios."""

    def make(
        provider, rounds, *, precision="fp32", size=512, batch=1, operations=10**9, rate=1e12
    ) -> Row:
        turns = [Turn(tuple(samples), rate) for samples in rounds]
        opened = Opened(precision, "cpu", 1.5, 2 * 10**9, None)
        case = Case("stylize", "vgg16", size, batch)
        return measured_row(provider, case, opened, turns, operations)

    return make


@pytest.fixture
def report(make_row) -> Report:
    """A report of a device twice as fast as PyTorch, a missing one, and one that failed."""
    rows: list[Row] = []
    for size in (256, 512):
        ms = size / 10
        pair = {
            "cpu": make_row("cpu", [[ms, ms], [ms, 1.1 * ms], [ms, ms]], size=size),
            "torch": make_row("torch", [[2 * ms] * 2] * 3, size=size),
        }
        case = Case("stylize", "vgg16", size, 1)
        rows += with_ratios(pair).values()
        rows.append(Row("cuda", None, case, "absent", "no | driver"))
        rows.append(Row("torch-compile", "fp32", case, "failed", "no [b]compiler[/b]"))
    stages = Stages("cpu", "fp32", "vgg16", 512, 20, {"read": 0.25, "steps": 2.0, "rest": 0.5})
    return Report(MACHINE, OPTIONS, tuple(rows), (stages,), ("It rained.",))
