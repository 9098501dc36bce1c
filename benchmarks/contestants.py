"""What every contestant is, and a task on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from nstbatch.runtime import terms
from nstbatch.runtime.engine import Engine, Targets
from nstbatch.runtime.loop import Bounds, Descent
from nstbatch.runtime.optimizers import Adam
from nstbatch.runtime.terms import Objective

from .matrix_rate import Product, onnx_products
from .options import Entry
from .tasks import Array, Task


class Contestant(Protocol):
    """What runs a task in a worker's process."""

    @property
    def precision(self) -> str:
        """Of its convolutions."""

    @property
    def device(self) -> str:
        """Where it runs: "cpu" or "cuda"."""

    @property
    def images(self) -> Array:
        """A copy of the current images, (N, 3, H, W)."""

    def step(self) -> None:
        """Take one step, all of it: losses on the processor, images moved."""

    def products(self) -> tuple[Product, ...]:
        """What its matrix rate is measured with."""


class OnnxContestant:
    """A task on one of the devices."""

    def __init__(self, task: Task, entry: Entry, threads: int) -> None:
        """Link and open everything.

        Raises:
            ProviderError: The device cannot be used.
        """
        engine = Engine(task.model, device=entry.name, precision=entry.precision, threads=threads)
        objective = objective_of(task)
        targets = targets_of(task, engine, objective)
        self._descent = open_descent(task, engine, objective, targets, task.images)
        self._provider, self._threads = engine.provider, threads

    @property
    def precision(self) -> str:
        """Of its convolutions."""
        return self._provider.precision

    @property
    def device(self) -> str:
        """Where its buffers lie."""
        return self._provider.memory

    @property
    def images(self) -> Array:
        """A copy of the current images."""
        return self._descent.images

    def step(self) -> None:
        """One evaluation and one update, as the loop does them."""
        self._descent.evaluate()
        self._descent.update()

    def products(self) -> tuple[Product, ...]:
        """A MatMul and a convolution through the same provider."""
        return onnx_products(self._provider, self._threads)


# --- From tasks to graphs ---------------------------------------------------------------------

_TERMS: Mapping[str, Callable[[str], Objective]] = {
    "content": terms.content,
    "style": terms.style,
    "tv": lambda layer: terms.total_variation(),
}


def objective_of(task: Task) -> Objective:
    """The objective that a task writes down."""
    objective = Objective()
    for term in task.terms:
        objective += term.weight * _TERMS[term.kind](term.layer or "")
    return objective


def targets_of(task: Task, engine: Engine, objective: Objective) -> Targets:
    """What a task's references leave behind."""
    return {
        name: target
        for kind, pictures in task.references.items()
        for name, target in engine.targets(
            tuple(term for term in objective.terms if term.kind == kind), pictures, task.pooling
        ).items()
    }


def open_descent(
    task: Task, engine: Engine, objective: Objective, targets: Targets, images: Array
) -> Descent:
    """A task's objective over images of its size, and a fresh Adam."""
    adam = Adam(task.adam.learning_rate, task.adam.betas, task.adam.epsilon)
    descent = engine.descent(
        objective,
        targets,
        images,
        adam,
        adam.initial_state(images.shape),
        pooling=task.pooling,
        bounds=Bounds(*task.bounds),
    )
    assert isinstance(descent, Descent)  # nobody shares the engine
    return descent
