"""The losses and the gradient of the first step of a style transfer."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from nstbatch.runtime.names import GRADIENT, IMAGE, LOSSES, TARGET, WEIGHT


@dataclass
class FirstStep:
    """A run, and what its first step computes at the first level's canvas."""

    run: Any
    losses: dict[str, float]
    gradient: np.ndarray


class _FoundError(Exception):
    pass


def first_step(transfer, photo, style, options, **others) -> FirstStep:
    """Plan a run as a call does, and evaluate it where it starts."""
    runs = []

    def caught(run, *_):
        runs.append(run)
        raise _FoundError

    transfer._descend = caught
    try:
        transfer(photo, style, options, **others)
    except _FoundError:
        (run,) = runs
    finally:
        del transfer._descend
    targets = run.targets(run.levels[0], run.images)
    values = run.images[0].size
    weights = {
        WEIGHT + term.name: term.graph_weight(weight, targets.get(TARGET + term.name), 1, values)
        for weight, term in run.objective.weighted
    }
    inputs = {IMAGE: run.images, **targets, **weights}
    shapes = {name: values.shape for name, values in inputs.items()}
    engine = transfer.engine
    network = (engine.provider, run.objective.terms, (), run.pooling)
    session = engine._sessions.step(*network, shapes, run.padding)
    found = session.run(inputs)
    losses = dict(zip((t.name for t in run.objective.terms), found[LOSSES][0], strict=True))
    return FirstStep(run, losses, found[GRADIENT])
