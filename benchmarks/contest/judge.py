"""Says how good everybody's pictures are, and how much arithmetic and memory their steps are.

In float32 on the processor, by one objective for all. The judge has a process of its own as well:
what it takes is gone when it is done, and if there is not enough for it, the times are still there.
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
from nstbatch.runtime.graphs.step_graph import step_graph
from nstbatch.runtime.names import TARGET

from .contestants import objective_of, open_descent, targets_of
from .worker import reporting_failures


@dataclass(frozen=True, eq=False)
class JudgeJob:
    """What is to be judged."""

    task: Task
    images: Mapping[str, Array]
    """By contestant, (N, 3, H, W)."""
    threads: int


@dataclass(frozen=True)
class Verdict:
    """What the judge says."""

    losses: Mapping[str, float]
    """By contestant: the total loss, on average over the batch."""
    operations: int | None
    """Floating-point operations of a step's products and convolutions, whoever takes it."""
    activation_bytes: int | None = None
    """What the linked graph holds at once, in float32, see :mod:`.live_bytes`."""


def serve_judge(pipe: Connection, job: JudgeJob) -> None:
    """What runs in the process."""
    with reporting_failures(pipe, job.threads):
        judge = Judge(job.task, job.threads)
        losses = {name: judge.loss(images) for name, images in job.images.items()}
        pipe.send(Verdict(losses, judge.operations(), judge.activation_bytes()))


class Judge:
    """Looks at one picture at a time: a batch that fits a GPU need not fit in memory here."""

    def __init__(self, task: Task, threads: int) -> None:
        self._task = task
        self._engine = Engine(task.model, device="cpu", precision="fp32", threads=threads)
        self._objective = objective_of(task)

    def loss(self, images: Array) -> float:
        """The total loss of images (N, 3, H, W), on average over them."""
        return float(np.mean([self._loss(i, image[None]) for i, image in enumerate(images)]))

    def _loss(self, index: int, image: Array) -> float:
        alone = self._task.picture(index)
        targets = targets_of(alone, self._engine, self._objective)
        descent = open_descent(alone, self._engine, self._objective, targets, image)
        return float(descent.evaluate().sum())

    def operations(self) -> int:
        """See :attr:`Verdict.operations`; a batch is as much work as its pictures."""
        return len(self._task.images) * operations(self._graph(1))

    def activation_bytes(self) -> int:
        """See :attr:`Verdict.activation_bytes`."""
        return bytes_of(self._graph(len(self._task.images)))

    def _graph(self, pictures: int) -> onnx.ModelProto:
        """The step of so many pictures, for which the targets of one are computed."""
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
        """Those that every picture has its own of."""
        references = self._task.references
        shared = {kind for kind, pictures in references.items() if len(pictures) == 1}
        return {
            TARGET + term.name
            for term in self._objective.terms
            if term.kind in references.keys() - shared
        }
