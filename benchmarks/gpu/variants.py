"""The ways to run PyTorch on a GPU, for comparison with our speed."""

from __future__ import annotations

from dataclasses import dataclass

from nstbatch.benchmarks.tasks.tasks import Task


@dataclass(frozen=True)
class Variant:
    """One way to run PyTorch."""

    name: str
    precision: str
    """Precision of the network: "fp32", "tf32", or "fp16" by autocast."""
    tf32: bool = False
    channels_last: bool = False
    compiled: bool = False
    graphed: bool = False


VARIANTS = (
    Variant("torch", "fp32"),
    Variant("torch-tf32", "tf32", tf32=True),
    Variant("torch-fp16", "fp16", tf32=True, channels_last=True),
    Variant("torch-compile", "fp16", tf32=True, channels_last=True, compiled=True),
    Variant("torch-graph", "fp16", tf32=True, channels_last=True, graphed=True),
)


@dataclass(frozen=True)
class VariantJob:
    """The work of a variant's process; see :class:`nstbatch.benchmarks.contest.worker.Job`."""

    variant: Variant
    task: Task
    threads: int
    warm_up: int
    steps: int
    device: str
