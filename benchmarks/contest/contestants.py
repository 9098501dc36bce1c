"""The interface of contestants, and a task on ONNX Runtime."""

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
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.engine.device_descent import Descent
from nstbatch.runtime.engine.engine import Engine, Targets
from nstbatch.runtime.names import TARGET
from nstbatch.runtime.objectives import terms
from nstbatch.runtime.objectives.dream_terms import energy
from nstbatch.runtime.objectives.prior_terms import alpha_norm
from nstbatch.runtime.objectives.terms import Objective, Term


class Contestant(Protocol):
    """Runs a task in a worker's process."""

    @property
    def precision(self) -> str:
        """Precision of its convolutions."""

    @property
    def device(self) -> str:
        """Device on which it runs: "cpu" or "cuda"."""

    @property
    def images(self) -> Array:
        """A copy of the current images, (N, 3, H, W)."""

    def step(self) -> None:
        """Take one complete step: losses copied to the processor, images updated."""

    def products(self) -> tuple[Product, ...]:
        """Products for its matrix rate."""


class OnnxContestant:
    """A task on one of our devices."""

    def __init__(
        self, task: Task, entry: Entry, threads: int, provider: Provider | None = None
    ) -> None:
        """Link the graphs and open the sessions.

        Args:
            task: The task.
            entry: The device and its precision.
            threads: Number of threads.
            provider: Runs it in the place of the device's usual provider.

        Raises:
            ProviderError: The device cannot be used.
        """
        engine = Engine(task.model, device=entry.name, precision=entry.precision, threads=threads)
        if provider is not None:
            engine.provider = provider
        objective = objective_of(task)
        targets = targets_of(task, engine, objective)
        self._descent = open_descent(task, engine, objective, targets, task.images)
        self._provider, self._threads = engine.provider, threads

    @property
    def precision(self) -> str:
        """Precision of its convolutions."""
        return self._provider.precision

    @property
    def device(self) -> str:
        """Device that holds its buffers."""
        return self._provider.memory

    @property
    def images(self) -> Array:
        """A copy of the current images."""
        return self._descent.images

    def step(self) -> None:
        """Take one step as the loop does: one evaluation and one update."""
        self._descent.evaluate()
        self._descent.update()

    def products(self) -> tuple[Product, ...]:
        """Products on the same provider."""
        return onnx_products(self._provider, self._threads)


# --- From tasks to graphs ---------------------------------------------------------------------

_TERMS: Mapping[str, Callable[..., Objective]] = {
    "content": terms.content,
    "style": terms.style,
    "scaled-content": terms.scaled_content,
    "scaled-style": terms.scaled_style,
    "energy": energy,
    "tv": terms.total_variation,
    "alpha-norm": alpha_norm,
}


def objective_of(task: Task) -> Objective:
    """The objective of a task."""
    return Objective(tuple((written.weight, _term(written)) for written in task.terms))


def _term(written: WeightedTerm) -> Term:
    layer = () if written.layer is None else (written.layer,)
    (term,) = _TERMS[written.kind](*layer, **dict(written.attributes)).terms
    return term


def targets_of(task: Task, engine: Engine, objective: Objective) -> Targets:
    """All targets of a task: those of its reference pictures, and those it gives directly."""
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
    """Open a descent for a task's objective on these images, with a new optimiser."""
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
    assert isinstance(descent, Descent)  # the engine is not shared
    return descent


def optimizer_of(settings: OptimizerSettings) -> Optimizer:
    """The optimiser with these settings."""
    if isinstance(settings, AdamSettings):
        return Adam(settings.learning_rate, settings.betas, settings.epsilon)
    if isinstance(settings, LBFGSSettings):
        return LBFGS(settings.learning_rate, settings.history)
    return NormalizedGradient(settings.learning_rate)
