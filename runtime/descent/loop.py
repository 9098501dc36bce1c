"""The loop: step, update, and again, until there is a reason to stop.

It knows nothing of files or terminals. A :class:`Descent` holds the buffers of a run and moves the
images by one step at a time; :func:`descend` asks it to until a rule says stop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import permutations
from typing import Protocol, TypeAlias

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.engine.session import Session
from nstbatch.runtime.errors import StoppedError
from nstbatch.runtime.names import GRADIENT, IMAGE, LOSSES, STATE, STATE_OUT

from .optimizers import Optimizer, State


class StopReason(Enum):
    """Why a run ended, as a sentence for the user."""

    FINISHED = "All steps were taken."
    STALLED = "The loss had all but stopped falling."
    STOPPED = "It was stopped on request."
    NON_FINITE = "The loss is no longer a finite number; a smaller learning rate may help."

    @property
    def is_success(self) -> bool:
        """Whether the images are what was asked for."""
        return self in (StopReason.FINISHED, StopReason.STALLED)


@dataclass(frozen=True)
class Bounds:
    """What every pixel is kept in after each update."""

    lower: float = -np.inf
    upper: float = np.inf


PIXEL_BOUNDS = Bounds(0.0, 1.0)
"""style-transfer-pytorch clamps the image after every step."""

Varying: TypeAlias = Callable[[], Mapping[str, Array]]
"""Draws the inputs of a step graph that are new in every step, by their names."""


def nothing_varies() -> Mapping[str, Array]:
    """No input is new in every step."""
    return {}


@dataclass(frozen=True)
class Outcome:
    """What a run leaves behind."""

    images: Array
    """(N, 3, H, W): the last ones whose losses are finite."""
    losses: Array
    """(N, T): the weighted losses of those images, by the terms of the objective."""
    state: State
    """The optimiser's state, to go on from."""
    steps: int
    """Updates taken."""
    reason: StopReason


class Steppable(Protocol):
    """What is moved down by one step at a time."""

    def evaluate(self) -> Array:
        """Losses (N, T) of the images that it starts from."""

    def to_next_look(self, left: int, stop: Callable[[], bool]) -> tuple[Array, int]:
        """Take one step or a few; return the losses (N, T), and how many steps those were.

        Args:
            left: How many there may be, one or more.
            stop: Asked between them whether to end here.

        Raises:
            StoppedError: It was terminated on the way; the images are those of the last look.
        """

    def step_back(self) -> None:
        """Return to the images of the look before the last one."""

    @property
    def images(self) -> Array:
        """A copy of the current images, (N, 3, H, W)."""

    @property
    def state(self) -> State:
        """A copy of the optimiser's state."""

    def close(self) -> None:
        """It is not moved any more."""


class Descent:
    """A step session and an update session, joined by buffers that stay on their device.

    There are two sets of image and state. Each update reads one and writes the other, since no
    buffer may be input and output of one pass; the loop goes back and forth between the two. What
    an optimiser updates in place is the exception, and is held once.

    Where losses are looked at every few steps only, there is a third set: the images of the last
    look stay in one, and the loop goes back and forth between the other two.
    """

    def __init__(
        self,
        step: Session,
        update: Session,
        optimizer: Optimizer,
        images: Array,
        state: State,
        constants: Mapping[str, Array],
        bounds: Bounds,
        varying: Varying = nothing_varies,
        look_every: int = 1,
    ) -> None:
        """Put everything where the sessions want it.

        Args:
            step: A step graph, see :mod:`nstbatch.runtime.graphs.link`.
            update: The update graph of ``optimizer``.
            optimizer: Its learning rate, and what it updates in place.
            images: (N, 3, H, W), where to start.
            state: The optimiser's, of the same size as the images.
            constants: Targets and weights, by the names of the step graph's inputs.
            bounds: What pixels are kept in.
            varying: Asked before every evaluation.
            look_every: Steps from one look at the losses to the next: on a GPU it has to wait for
                all that it was told to do. 1 where the optimiser has a state that is held once,
                to which there is no way back.
        """
        self.is_captured = step.is_captured and update.is_captured
        first = {IMAGE: update.buffer(images)}
        first |= {STATE + name: update.buffer(values) for name, values in state.items()}
        in_place = {STATE + name for name in optimizer.in_place}
        self.look_every = 1 if in_place else look_every
        others = tuple(
            {
                name: value if name in in_place else update.buffer(value.numpy())
                for name, value in first.items()
            }
            for _ in range(1 if self.look_every == 1 else 2)
        )
        self._sets = (first, *others)
        self._current = self._held = 0
        self._losses = step.buffer(np.zeros(step.output_shapes[LOSSES]))
        gradient = step.buffer(np.zeros(images.shape))
        self._varying = varying
        self._drawn = {name: step.buffer(values) for name, values in varying().items()}
        fixed = {name: step.buffer(values) for name, values in constants.items()}
        scalars = {
            "learning_rate": update.buffer(optimizer.learning_rate),
            "lower": update.buffer(bounds.lower),
            "upper": update.buffer(bounds.upper),
        }
        self._steps = tuple(
            step.bind(
                {**fixed, **self._drawn, IMAGE: here[IMAGE]},
                {LOSSES: self._losses, GRADIENT: gradient},
                constant=fixed,
            )
            for here in self._sets
        )
        self._updates = {
            (i, j): update.bind(
                self._sets[i] | scalars | {GRADIENT: gradient}, _as_outputs(self._sets[j])
            )
            for i, j in permutations(range(len(self._sets)), 2)
        }

    def evaluate(self) -> Array:
        """Losses (N, T) of the current images, whose gradient is then ready for an update."""
        self.compute()
        return self.look()

    def compute(self) -> None:
        """Losses and gradient of the current images, which stay on the device."""
        for name, values in self._varying().items():
            self._drawn[name].update_inplace(values)
        self._steps[self._current]()

    def look(self) -> Array:
        """The losses (N, T) of the last evaluation, from the device."""
        return np.array(self._losses.numpy())

    def update(self) -> None:
        """Move the images down the gradient of the last evaluation."""
        if self.look_every == 1:
            self.hold()
        there = next(i for i in range(len(self._sets)) if i not in (self._current, self._held))
        self._updates[self._current, there]()
        self._current = there

    def step(self) -> Array:
        """Update and evaluate.

        Raises:
            StoppedError: It was terminated on the way; the images are those that are held.
        """
        self.advance()
        return self.look()

    def advance(self) -> None:
        """A step whose losses stay where they are; see :meth:`step`."""
        try:
            self.update()
            self.compute()
        except StoppedError:
            self.step_back()
            raise

    def to_next_look(self, left: int, stop: Callable[[], bool]) -> tuple[Array, int]:
        """Take steps until the losses are looked at; see :class:`Steppable`."""
        self.hold()
        most = min(self.look_every, left)
        for done in range(1, most):
            self.advance()
            if stop():
                return self.look(), done
        return self.step(), most

    def hold(self) -> None:
        """Let the current images be those to return to; if all are looked at, any update does."""
        self._held = self._current

    def step_back(self) -> None:
        """Return to the images that are held."""
        self._current = self._held

    @property
    def images(self) -> Array:
        """A copy of the current images, (N, 3, H, W)."""
        return self._images_of(self._current)

    @property
    def state(self) -> State:
        """A copy of the optimiser's state."""
        return self._state_of(self._current)

    def snapshot(self, *, before: bool = False) -> tuple[Array, State]:
        """A copy of the current images and state, or of those that are held.

        What an optimiser updates in place is always the current one.
        """
        chosen = self._held if before else self._current
        return self._images_of(chosen), self._state_of(chosen)

    def _images_of(self, which: int) -> Array:
        return np.array(self._sets[which][IMAGE].numpy())

    def _state_of(self, which: int) -> State:
        return {
            name.removeprefix(STATE): np.array(value.numpy())
            for name, value in self._sets[which].items()
            if name.startswith(STATE)
        }

    def close(self) -> None:
        """Let go of the sessions; what was copied stays."""
        self._steps, self._updates = (), {}


def _as_outputs(buffers: Mapping[str, object]) -> dict[str, object]:
    return {
        "image_out" if name == IMAGE else name.replace(STATE, STATE_OUT, 1): value
        for name, value in buffers.items()
    }


def descend(
    descent: Steppable,
    steps: int,
    report: Callable[[int, Array], None],
    stop: Callable[[], bool],
    keep: Callable[[int], None] = lambda step: None,
    stalled: Callable[[int, Array], bool] = lambda step, losses: False,
) -> Outcome:
    """Take up to ``steps`` updates; the outcome's losses are those of the outcome's images.

    Args:
        descent: Where to start.
        steps: How many updates to take.
        report: Called after each look with the number of updates so far and the losses; that is
            after each evaluation, unless the descent looks more seldom.
        stop: Asked before each update whether to end here.
        keep: Called after each report, to write down where the descent is.
        stalled: Asked after each report, with the same, whether more steps are worth nothing.

    Raises:
        StoppedError: The very first evaluation was terminated, so there are no losses yet.
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
