"""Coarse to fine: the sizes that a run works through, and the run itself.

A coarse size settles large shapes at a fraction of the cost, and lets a style reach across more of
the picture than the receptive field of its deepest layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .images import fit_long_side, resize
from .loop import Descent, Outcome, StopReason, descend
from .optimizers import Optimizer, State
from .session import Array

# style-transfer-pytorch, style_transfer.py: gen_scales.
FACTOR = math.sqrt(2)


@dataclass(frozen=True)
class Level:
    """One size of a run, and the updates taken there."""

    height: int
    width: int
    steps: int


def plan_levels(
    height: int, width: int, *, size: int, scales: int, steps: int, smallest: int
) -> list[Level]:
    """The levels of a run, from coarse to fine, each sqrt(2) times the one before.

    Args:
        height: Of the picture as it is.
        width: Likewise; the levels keep the ratio of the two.
        size: The long side at the last level.
        scales: How many levels, less those whose short side would be under ``smallest``.
        steps: Updates over all levels; the finest levels take what does not divide.
        smallest: Shortest side that a level may have; the last level stays even so.
    """
    sides = [round(size / FACTOR**level) for level in reversed(range(scales))]
    shapes = [fit_long_side(height, width, side) for side in sides]
    shapes = [shape for shape in shapes[:-1] if min(shape) >= smallest] + shapes[-1:]
    count = len(shapes)
    return [
        Level(*shape, steps * (index + 1) // count - steps * index // count)
        for index, shape in enumerate(shapes)
    ]


def coarse_to_fine(
    levels: Sequence[Level],
    images: Array,
    optimizer: Optimizer,
    open_descent: Callable[[Array, State], Descent],
    report: Callable[[Level, int, Array], None],
    stop: Callable[[], bool],
) -> Outcome:
    """Run every level from where the one before it ended.

    Args:
        levels: From coarse to fine.
        images: (N, 3, H, W) of the first level.
        optimizer: Carries its state from size to size.
        open_descent: Images and a state -> what to step down at their size.
        report: Called with the level, the updates taken over all levels and the losses (N, T).
        stop: Asked before each update whether to end here.

    Returns:
        The last outcome, at the size of its level, with the steps of all levels.
    """
    state = optimizer.initial_state(images.shape)
    taken = 0
    for level in levels:
        size = (level.height, level.width)
        if images.shape[2:] != size:
            images, state = resize_batch(images, size), optimizer.resample(state, size)
        outcome = descend(
            open_descent(images, state),
            level.steps,
            lambda step, losses, level=level, before=taken: report(level, before + step, losses),
            stop,
        )
        taken += outcome.steps
        images, state = outcome.images, outcome.state
        if outcome.reason is not StopReason.FINISHED:
            break
    return replace(outcome, steps=taken)


def resize_batch(images: Array, size: tuple[int, int]) -> Array:
    """(N, 3, H, W) in [0, 1] -> (N, 3, *size)."""
    resized = [resize(image.transpose(1, 2, 0), size).transpose(2, 0, 1) for image in images]
    return np.ascontiguousarray(np.stack(resized))
