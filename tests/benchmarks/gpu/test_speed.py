"""Cases that do not fit into memory, and the variants of PyTorch that run on a processor."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nstbatch.benchmarks.gpu import speed
from nstbatch.benchmarks.gpu.peers import GpuPeer
from nstbatch.benchmarks.gpu.speed import (
    Speed,
    SpeedJob,
    bytes_of_one,
    memory_lack,
    speed_jobs,
    with_ratios,
)
from nstbatch.benchmarks.gpu.variants import VARIANTS
from nstbatch.benchmarks.options import Entry
from nstbatch.benchmarks.peers.peers import Peer
from nstbatch.benchmarks.reports.report import Case, Row
from nstbatch.benchmarks.tasks.tasks import make_task
from nstbatch.benchmarks.tasks.turns import AbsentError, ContestantError

SPEED = Speed(
    model="alexnet",
    entries=(Entry("cpu", "fp32"),),
    variants=VARIANTS[:1],
    sizes=(64,),
    batches=(1, 16),
    rounds=1,
    steps=1,
    warm_up=1,
    threads=1,
    peer_device="cpu",
)


@pytest.fixture(autouse=True)
def switches():
    """Restore the switches of PyTorch after a test."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    benchmark, threads = torch.backends.cudnn.benchmark, torch.get_num_threads()
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
    torch.backends.cudnn.benchmark = benchmark
    torch.set_num_threads(threads)


def test_memory_goes_by_pixels_and_pictures():
    one = 10**9  # at 256 pixels
    assert memory_lack(one, 256, 1, 4 * 10**9) is None
    assert memory_lack(one, 2048, 16, None) is None
    lack = memory_lack(one, 512, 4, 20 * 10**9)
    assert lack == "it needs about 48 GB in fp32, and 20 GB are free"


def test_what_is_counted_is_more_for_a_larger_network():
    assert 5 * bytes_of_one("alexnet") < bytes_of_one("vgg16") < 2**31


def test_cases_without_memory_are_rows_with_a_reason(monkeypatch):
    monkeypatch.setattr(speed, "bytes_of_one", lambda model: 10**9)
    monkeypatch.setattr(speed, "gpu_memory", lambda which: 10**9)
    first, *others = speed_jobs(SPEED, SPEED.cases, ())
    assert first.lack is None
    jobs = speed_jobs(SPEED, SPEED.cases, {first.key, others[0].key})
    rows = [job.row(lambda: None) for job in jobs]
    assert [(row.provider, row.case.batch, row.status) for row in rows] == [
        ("cpu", 16, "skipped"),
        ("torch", 16, "skipped"),
    ]
    assert rows[0].reason == "it needs about 3 GB in fp32, and 1 GB are free"


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "skipped"),
        ("RuntimeException: Failed to allocate memory for requested buffer", "skipped"),
        ("RuntimeException: CUDNN failure", "failed"),
    ],
)
def test_who_runs_out_of_memory_is_skipped(reason, status):
    def fail():
        raise ContestantError(reason)

    job = SpeedJob("cuda", "fp16", Case("stylize", "alexnet", 64, 1), 1, fail)
    row = job.row(lambda: None)
    assert (row.status, row.reason) == (status, reason)


def test_ratios_are_to_every_way_of_pytorch():
    case = Case("stylize", "alexnet", 64, 1)
    cuda = Row("cuda", "fp16", case, rounds=2, samples_ms=(1.0, 1.0, 1.0, 1.0))
    rows = [
        cuda,
        replace(cuda, provider="torch", samples_ms=(4.0, 4.0, 4.0, 4.0)),
        Row("torch-graph", "fp16", case, "failed", "no"),
        replace(cuda, provider="torch-fp16", samples_ms=(2.0, 2.0, 2.0, 2.0)),
    ]
    found = with_ratios(rows)
    assert found[0].ratio == {"torch": 4.0, "torch-fp16": 2.0}
    assert found[1].ratio == {"torch-fp16": 0.5}
    assert not found[2].ratio


@pytest.mark.parametrize("variant", [v for v in VARIANTS if not (v.compiled or v.graphed)])
def test_every_way_of_pytorch_goes_the_same_way(variant):
    task = make_task("stylize", "alexnet", 64, 1)
    peer, plain = GpuPeer(task, variant, 1, "cpu"), Peer(task, "torch", 1, "cpu")
    assert torch.backends.cudnn.allow_tf32 is False  # the plain variant has turned it off again
    for _ in range(3):
        peer.step()
        plain.step()
    np.testing.assert_allclose(peer.losses, plain.losses, rtol=0.03)
    assert (peer.precision, peer.products()) == (variant.precision, ())
    assert peer.images.shape == plain.images.shape
    cosine = torch.nn.functional.cosine_similarity(
        *(torch.tensor(p.gradient).flatten() for p in (peer, plain)), dim=0
    )
    assert cosine > 0.98


def test_tf32_is_on_where_the_variant_says_so():
    task = make_task("stylize", "alexnet", 64, 1)
    for variant in VARIANTS[:2]:
        GpuPeer(task, variant, 1, "cpu")
        assert torch.backends.cudnn.allow_tf32 is variant.tf32
        assert torch.backends.cuda.matmul.allow_tf32 is variant.tf32


def test_a_cuda_graph_needs_a_gpu():
    task = make_task("stylize", "alexnet", 64, 1)
    with pytest.raises(AbsentError, match="on a GPU only"):
        GpuPeer(task, next(v for v in VARIANTS if v.graphed), 1, "cpu")
