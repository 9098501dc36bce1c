"""Judges the contestants' pictures, and counts the arithmetic and memory of a step.

All are judged in float32 on the processor, by one objective. The judge has its own process: its
memory is freed at the end, and if it runs out of memory, the times are still there.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np
import onnx

from nstbatch.benchmarks.tasks.flops import operations
from nstbatch.benchmarks.tasks.tasks import Task
from nstbatch.runtime.arrays import Array
from nstbatch.runtime.engine.engine import Engine
from nstbatch.runtime.graphs.live_bytes import bytes_of
from nstbatch.runtime.graphs.measured_step_graph import step_graph
from nstbatch.runtime.names import TARGET

from .contestants import objective_of, open_descent, targets_of
from .worker import reporting_failures


@dataclass(frozen=True, eq=False)
class JudgeJob:
    """The pictures to judge, and their task."""

    task: Task
    images: Mapping[str, Array]
    """Pictures (N, 3, H, W) by contestant."""
    threads: int


@dataclass(frozen=True)
class Verdict:
    """The results of the judge."""

    losses: Mapping[str, float]
    """Total loss by contestant, averaged over the batch."""
    operations: int | None
    """Floating-point operations of a step's products and convolutions, the same for everyone."""
    activation_bytes: int | None = None
    """Largest memory in use at once in the linked graph, in bytes, counted in float32; see
    :mod:`nstbatch.runtime.graphs.live_bytes`."""


def serve_judge(pipe: Connection, job: JudgeJob) -> None:
    """The code of the judge's process."""
    with reporting_failures(pipe, job.threads):
        judge = Judge(job.task, job.threads)
        losses = {name: judge.loss(images) for name, images in job.images.items()}
        pipe.send(Verdict(losses, judge.operations(), judge.activation_bytes()))


class Judge:
    """Judges one picture at a time: a batch that fits a GPU may not fit in memory here."""

    def __init__(self, task: Task, threads: int) -> None:
        self._task = task
        self._engine = Engine(task.model, device="cpu", precision="fp32", threads=threads)
        self._objective = objective_of(task)

    def loss(self, images: Array) -> float:
        """Total loss of images (N, 3, H, W), averaged over them."""
        return float(np.mean([self._loss(i, image[None]) for i, image in enumerate(images)]))

    def _loss(self, index: int, image: Array) -> float:
        alone = self._task.picture(index)
        targets = targets_of(alone, self._engine, self._objective)
        descent = open_descent(alone, self._engine, self._objective, targets, image)
        return float(descent.evaluate().sum())

    def operations(self) -> int:
        """See :attr:`Verdict.operations`; the work of a batch is the sum over its pictures."""
        return len(self._task.images) * operations(self._graph(1))

    def activation_bytes(self) -> int:
        """See :attr:`Verdict.activation_bytes`."""
        return bytes_of(self._graph(len(self._task.images)))

    def _graph(self, pictures: int) -> onnx.ModelProto:
        """The step graph for this number of pictures, with target shapes taken from one picture."""
        alone = self._task.picture(0)
        targets = targets_of(alone, self._engine, self._objective)
        shapes = {
            name: (pictures if name in self._own_targets else 1, *target.shape[1:])
            for name, target in targets.items()
        }
        graph = self._engine.bundle.read_graph("gradient", alone.pooling)
        image_shape = (pictures, *alone.images.shape[1:])
        return step_graph(graph, self._objective.terms, image_shape, shapes)

    @functools.cached_property
    def _own_targets(self) -> set[str]:
        """Names of the targets that differ from picture to picture."""
        references = self._task.references
        shared = {kind for kind, pictures in references.items() if len(pictures) == 1}
        return {
            TARGET + term.name
            for term in self._objective.terms
            if term.kind in references.keys() - shared
        }
