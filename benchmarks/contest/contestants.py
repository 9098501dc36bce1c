"""What every contestant is, and a task on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from nstbatch.benchmarks.options import Entry
from nstbatch.benchmarks.tasks.matrix_rate import Product, onnx_products
from nstbatch.benchmarks.tasks.tasks import (
    AdamSettings,
    LBFGSSettings,
    OptimizerSettings,
    Task,
    WeightedTerm,
)
from nstbatch.runtime.arrays import Array
from nstbatch.runtime.descent.loop import Bounds
from nstbatch.runtime.descent.normalized_gradient import NormalizedGradient
from nstbatch.runtime.descent.optimizers import LBFGS, Adam, Optimizer
from nstbatch.runtime.engine.device_descent import Descent
from nstbatch.runtime.engine.engine import Engine, Targets
from nstbatch.runtime.names import TARGET
from nstbatch.runtime.objectives import terms
from nstbatch.runtime.objectives.dream_terms import energy
from nstbatch.runtime.objectives.prior_terms import alpha_norm
from nstbatch.runtime.objectives.terms import Objective, Term


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
        """What its matrix rate may be measured with."""


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
        """Through the same provider."""
        return onnx_products(self._provider, self._threads)


# --- From tasks to graphs ---------------------------------------------------------------------

_TERMS: Mapping[str, Callable[..., Objective]] = {
    "content": terms.content,
    "style": terms.style,
    "energy": energy,
    "tv": terms.total_variation,
    "alpha-norm": alpha_norm,
}


def objective_of(task: Task) -> Objective:
    """The objective that a task writes down."""
    return Objective(tuple((written.weight, _term(written)) for written in task.terms))


def _term(written: WeightedTerm) -> Term:
    layer = () if written.layer is None else (written.layer,)
    (term,) = _TERMS[written.kind](*layer, **dict(written.attributes)).terms
    return term


def targets_of(task: Task, engine: Engine, objective: Objective) -> Targets:
    """What a task's references leave behind, and what it gives."""
    given = {
        TARGET + term.name: task.given[term.kind]
        for term in objective.terms
        if term.kind in task.given
    }
    return given | {
        name: target
        for kind, pictures in task.references.items()
        for name, target in engine.targets(
            tuple(term for term in objective.terms if term.kind == kind), pictures, task.pooling
        ).items()
    }


def open_descent(
    task: Task, engine: Engine, objective: Objective, targets: Targets, images: Array
) -> Descent:
    """A task's objective over images of its size, and a fresh optimiser."""
    optimizer = optimizer_of(task.optimizer)
    descent = engine.descent(
        objective,
        targets,
        images,
        optimizer,
        optimizer.initial_state(images.shape),
        pooling=task.pooling,
        bounds=Bounds(*task.bounds),
    )
    assert isinstance(descent, Descent)  # nobody shares the engine
    return descent


def optimizer_of(settings: OptimizerSettings) -> Optimizer:
    """The optimiser that a task writes down."""
    if isinstance(settings, AdamSettings):
        return Adam(settings.learning_rate, settings.betas, settings.epsilon)
    if isinstance(settings, LBFGSSettings):
        return LBFGS(settings.learning_rate, settings.history)
    return NormalizedGradient(settings.learning_rate)
