"""PyTorch on a GPU: in TF32, under autocast, compiled, or as one CUDA graph; and its profiler.

**Not run on a GPU yet**; the parts that run on a processor are tested there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from nstbatch.benchmarks.contest.worker import open_warm, reporting_failures
from nstbatch.benchmarks.peers.peers import Peer
from nstbatch.benchmarks.tasks.matrix_rate import Product
from nstbatch.benchmarks.tasks.tasks import AdamSettings, Task
from nstbatch.benchmarks.tasks.turns import AbsentError, ContestantError, take_turn

from .kernels import times_by_kernel
from .variants import Variant, VariantJob

# Factor of the loss before it goes back through float16; the gradient is divided by it. A guess
# that keeps the pictures finite: GradScaler would search for one, which a CUDA graph cannot.
LOSS_SCALE = 2.0**10

# torch.cuda.graph's own example takes three steps on another stream before it records.
STEPS_BEFORE_RECORDING = 3


class GpuPeer(Peer):
    """A task in PyTorch, run in one of the ways of :data:`.variants.VARIANTS`."""

    def __init__(self, task: Task, variant: Variant, threads: int, device: str) -> None:
        """Build the network, and record a step if the variant has ``graphed``.

        Raises:
            AbsentError: PyTorch finds no GPU, or the variant needs a CUDA graph without one.
        """
        super().__init__(task, "torch", threads, device)
        self.precision = variant.precision
        self._loss_scale = LOSS_SCALE if variant.precision == "fp16" else 1.0
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = variant.tf32
        torch.backends.cudnn.benchmark = True  # like ONNX Runtime's exhaustive search
        if variant.channels_last:
            self._features = self._features.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self._image.data = self._image.data.contiguous(memory_format=torch.channels_last)
        if variant.compiled:
            self._losses = torch.compile(self._plain_losses, fullgraph=True)
        self._recorded: _Recorded | None = None
        if variant.graphed:
            self._recorded = self._record(task)

    def step(self) -> None:
        """Take one complete step."""
        if self._recorded is None:
            losses = self._pass()
        else:
            self._recorded.graph.replay()
            losses = self._recorded.losses
        self.losses = losses.cpu().numpy()
        self._wait()

    def products(self) -> tuple[Product, ...]:
        """No products: only the benchmark measures a share of the peak."""
        return ()

    def _pass(self) -> Tensor:
        if self._image.grad is not None:
            self._image.grad.zero_()  # in place, which a CUDA graph needs
        losses = self._losses(self._image)
        (self._loss_scale * losses.sum()).backward()  # type: ignore[no-untyped-call]
        if self._loss_scale != 1:
            assert self._image.grad is not None
            self._image.grad /= self._loss_scale
        self._move(losses.sum(1))
        with torch.no_grad():
            self._image.clamp_(*self._bounds)
        return losses.detach()

    def _autocast(self) -> Any:
        """Float16 for the network only: the objective stays in float32."""
        if self.precision != "fp16":
            return nullcontext()
        return torch.autocast(self.device, dtype=torch.float16)

    def _record(self, task: Task) -> _Recorded:
        """Record a whole step as a CUDA graph, as in PyTorch's "Whole-network capture" example."""
        if self.device != "cuda":
            raise AbsentError("a CUDA graph is recorded on a GPU only")
        settings = task.optimizer
        assert isinstance(settings, AdamSettings)
        adam = torch.optim.Adam(
            [self._image],
            settings.learning_rate,
            settings.betas,
            settings.epsilon,
            capturable=True,
        )
        self._move = lambda losses: adam.step()
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(STEPS_BEFORE_RECORDING):
                self._pass()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            losses = self._pass()
        return _Recorded(graph, losses)


@dataclass(frozen=True)
class _Recorded:
    """A CUDA graph and the tensor into which it writes the losses."""

    graph: torch.cuda.CUDAGraph
    losses: Tensor


def serve_variant(pipe: Connection, job: VariantJob) -> None:
    """The code of a variant's process, like :func:`nstbatch.benchmarks.contest.worker.serve`."""
    with reporting_failures(pipe, job.threads):
        peer, opened = open_warm(
            lambda: GpuPeer(job.task, job.variant, job.threads, job.device), job.warm_up
        )
        if not np.isfinite(opened.images).all():
            raise ContestantError("its pictures are not finite")
        pipe.send(opened)
        while pipe.recv():
            pipe.send(take_turn(peer.step, (), job.steps))


def profiled(step: Callable[[], object], steps: int) -> Mapping[str, float]:
    """Take steps under PyTorch's profiler, and return :func:`.kernels.times_by_kernel`.

    It sees all kernels of this process, also those that a CUDA graph launches, whoever made them.
    """
    torch.cuda.init()  # type: ignore[no-untyped-call]
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        for _ in range(steps):
            step()
        torch.cuda.synchronize()
    return times_by_kernel(profiler.key_averages(), steps)
