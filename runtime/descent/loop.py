"""The loop: step, update, and again, until there is a reason to stop.

It knows nothing of files, terminals or devices. A :class:`Steppable` holds the images of a run and
moves them step by step; :func:`descend` calls it until a rule ends the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.errors import StoppedError

from .optimizers import State


class StopReason(Enum):
    """Why a run ended, as a sentence for the user."""

    FINISHED = "All steps were taken."
    STALLED = "The loss had all but stopped falling."
    STOPPED = "It was stopped on request."
    NON_FINITE = "The loss is no longer a finite number; a smaller learning rate may help."

    @property
    def is_success(self) -> bool:
        """True if the images are a usable result."""
        return self in (StopReason.FINISHED, StopReason.STALLED)


@dataclass(frozen=True)
class Bounds:
    """The range that every pixel is clipped to after each update."""

    lower: float = -np.inf
    upper: float = np.inf


PIXEL_BOUNDS = Bounds(0.0, 1.0)
"""style-transfer-pytorch clamps the image after every step."""

Varying: TypeAlias = Callable[[], Mapping[str, Array]]
"""Draws the inputs of a step graph that change in every step, by name."""


Watch: TypeAlias = Callable[[Array], None]
"""Takes the slopes of a watched view after each evaluation; they are valid only during the call."""


def nothing_is_watched(slopes: Array) -> None:
    """Take no slopes: no view is watched."""


def nothing_varies() -> Mapping[str, Array]:
    """Return no inputs: none change from step to step."""
    return {}


@dataclass(frozen=True)
class Outcome:
    """The result of a run."""

    images: Array
    """(N, 3, H, W): the last images whose losses are finite."""
    losses: Array
    """(N, T): the weighted losses of those images, by the terms of the objective."""
    state: State
    """The optimiser's state, to continue from."""
    steps: int
    """Updates taken."""
    reason: StopReason


class Steppable(Protocol):
    """Images that are moved down their objective step by step."""

    def evaluate(self) -> Array:
        """Return the losses (N, T) of the first images."""

    def to_next_look(self, left: int, stop: Callable[[], bool]) -> tuple[Array, int]:
        """Take one or more steps; return the losses (N, T) and the number of steps taken.

        A look is a reading of the losses, which on a GPU waits for the device.

        Args:
            left: Largest number of steps, at least 1.
            stop: Called between steps; True ends here.

        Raises:
            StoppedError: A pass was terminated; the images are those of the last look.
        """

    def step_back(self) -> None:
        """Return to the images of the previous look."""

    @property
    def images(self) -> Array:
        """A copy of the current images, (N, 3, H, W)."""

    @property
    def state(self) -> State:
        """A copy of the optimiser's state."""

    def close(self) -> None:
        """Free the device; no step follows."""


def descend(
    descent: Steppable,
    steps: int,
    report: Callable[[int, Array], None],
    stop: Callable[[], bool],
    keep: Callable[[int], None] = lambda step: None,
    stalled: Callable[[int, Array], bool] = lambda step, losses: False,
) -> Outcome:
    """Take up to ``steps`` updates; the losses of the outcome belong to its images.

    Args:
        descent: The images to move.
        steps: Largest number of updates.
        report: Called after each look with the number of updates so far and the losses: after
            each evaluation, unless the descent looks only every few steps.
        stop: Called before each update; True ends the run.
        keep: Called after each report, to save a checkpoint.
        stalled: Called after each report with the same arguments; True ends the run.

    Raises:
        StoppedError: The first evaluation was terminated, so there are no losses.
    """
    losses = descent.evaluate()
    reason, taken = StopReason.FINISHED, 0
    while True:
        report(taken, losses)
        if taken == steps:
            break
        if stalled(taken, losses):
            reason = StopReason.STALLED
            break
        keep(taken)
        if stop():
            reason = StopReason.STOPPED
            break
        try:
            newest, more = descent.to_next_look(steps - taken, stop)
        except StoppedError:
            reason = StopReason.STOPPED
            break
        if not np.isfinite(newest).all():
            descent.step_back()
            reason = StopReason.NON_FINITE
            break
        losses, taken = newest, taken + more
    return Outcome(descent.images, losses, descent.state, taken, reason)
