"""Batches that fit."""

import pytest

from nstbatch.benchmarks.contest.judge import Judge
from nstbatch.benchmarks.tasks.tasks import make_task
from nstbatch.runtime.descent.optimizers import LBFGS, Adam
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.needs import batch_size
from nstbatch.runtime.needs.batch_size import (
    MOST_TOGETHER,
    OVERHEAD,
    bytes_of_step,
    largest_batch,
)
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
from nstbatch.runtime.systems.style_transfer import StyleTransfer


@pytest.mark.parametrize(
    ("free", "most", "batch"),
    [(0, 16, 1), (100, 16, 1), (599, 16, 1), (600, 16, 2), (10**6, 16, 16)],
)
def test_a_batch_fits(free, most, batch):
    assert OVERHEAD == 3
    assert largest_batch(100, free, most) == batch


def test_the_bytes_of_a_step_are_those_that_the_benchmark_counts():
    transfer = StyleTransfer("alexnet", device="cpu", threads=1)
    terms = transfer.objective(StyleTransferOptions()).terms
    counted = bytes_of_step(transfer.engine.bundle, terms, "avg", (96, 96))
    assert counted == Judge(make_task("stylize", "alexnet", 96, 1), threads=1).activation_bytes()


@pytest.mark.parametrize(
    ("device", "free", "batch"),
    [("cpu", 10**12, 1), ("cuda", None, 1), ("cuda", 0, 1), ("cuda", 10**12, MOST_TOGETHER)],
)
def test_a_gpu_is_given_what_its_memory_takes_and_a_processor_one(monkeypatch, device, free, batch):
    monkeypatch.setattr(batch_size, "gpu_memory", lambda which, gpu: free)
    transfer = StyleTransfer("alexnet", device="cpu", threads=1)
    transfer.engine.provider = Provider(device, "fp32")
    objective = transfer.objective(StyleTransferOptions())
    assert transfer.engine.best_batch(objective, Adam(), "avg", (96, 96)) == batch
    assert transfer.engine.best_batch(objective, LBFGS(), "avg", (96, 96)) == 1
