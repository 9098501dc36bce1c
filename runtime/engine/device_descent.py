"""A descent on a device: a step session and an update session over buffers that stay there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import permutations

import numpy as np

from nstbatch.runtime import scratch
from nstbatch.runtime.arrays import Array
from nstbatch.runtime.descent.loop import Bounds, Varying, Watch, nothing_is_watched, nothing_varies
from nstbatch.runtime.descent.optimizers import Optimizer, State
from nstbatch.runtime.errors import StoppedError
from nstbatch.runtime.names import GRADIENT, IMAGE, IMAGE_OUT, LOSSES, SLOPES, STATE, STATE_OUT

from .session import Buffer, Session

# Steps between two looks at the losses on a GPU. A guess: a second or less between two reports.
LOOK_EVERY = 10


class Descent:
    """A step session and an update session, joined by buffers that stay on their device.

    There are two sets of image and state. Each update reads one and writes the other, since no
    buffer may be input and output of one pass; the loop goes back and forth between the two. What
    an optimiser updates in place is the exception, and is held once.

    If the losses are read only every few steps, there is a third set: the images of the last look
    stay in one, and the loop goes back and forth between the other two.
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
        watch: Watch = nothing_is_watched,
    ) -> None:
        """Copy everything to the device and bind the passes.

        Args:
            step: A step graph, see :mod:`nstbatch.runtime.graphs.link`.
            update: The update graph of ``optimizer``.
            optimizer: Gives the learning rate and the parts of the state to update in place.
            images: (N, 3, H, W), where to start.
            state: The optimiser's state, of the same size as the images.
            constants: Targets and weights, by the names of the step graph's inputs.
            bounds: The range of the pixels.
            varying: Called before every evaluation.
            look_every: Steps from one look at the losses to the next: on a GPU, a look waits for
                all work that was queued. 1 if the optimiser updates a part of its state in place,
                since that part has no earlier copy to return to.
            watch: Called after every evaluation, if a view of the step graph is watched.
        """
        self._sessions = (step, update)
        in_place = {STATE + name for name in optimizer.in_place}
        self.look_every = 1 if in_place else look_every
        first = {IMAGE: images} | {STATE + name: values for name, values in state.items()}
        self._sets = _buffer_sets(update, first, in_place, 2 if self.look_every == 1 else 3)
        self._current = self._held = 0
        self._losses = step.buffer(np.zeros(step.output_shapes[LOSSES]))
        gradient = step.buffer(scratch.zeros(images.shape))
        self._varying = varying
        self._take_slopes = watch
        self._slopes = {
            name: step.buffer(np.zeros(shape))
            for name, shape in step.output_shapes.items()
            if name == SLOPES
        }
        self._drawn = {name: step.buffer(values) for name, values in varying().items()}
        fixed = {name: step.buffer(values) for name, values in constants.items()}
        self._steps = tuple(
            step.bind(
                {**fixed, **self._drawn, IMAGE: here[IMAGE]},
                {LOSSES: self._losses, GRADIENT: gradient, **self._slopes},
            )
            for here in self._sets
        )
        read = _scalars(update, optimizer, bounds) | {GRADIENT: gradient}
        self._updates = {
            (i, j): update.bind(self._sets[i] | read, _as_outputs(self._sets[j]))
            for i, j in permutations(range(len(self._sets)), 2)
        }

    @property
    def is_captured(self) -> bool:
        """True if steps and updates are recorded as CUDA graphs, as far as is known yet."""
        return all(session.is_captured for session in self._sessions)

    def evaluate(self) -> Array:
        """Return the losses (N, T) of the current images; their gradient is then ready."""
        self.compute()
        return self.look()

    def compute(self) -> None:
        """Compute losses and gradient of the current images, and leave them on the device."""
        for name, values in self._varying().items():
            self._drawn[name].update_inplace(values)
        self._steps[self._current]()
        for slopes in self._slopes.values():
            self._take_slopes(slopes.numpy())

    def look(self) -> Array:
        """Copy the losses (N, T) of the last evaluation from the device."""
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
            StoppedError: A pass was terminated; the images are those that are held.
        """
        self.advance()
        return self.look()

    def advance(self) -> None:
        """Take a step, and leave its losses on the device; see :meth:`step`."""
        try:
            self.update()
            self.compute()
        except StoppedError:
            self.step_back()
            raise

    def to_next_look(self, left: int, stop: Callable[[], bool]) -> tuple[Array, int]:
        """Take steps until the next look at the losses.

        See :class:`nstbatch.runtime.descent.loop.Steppable`.
        """
        self.hold()
        most = min(self.look_every, left)
        for done in range(1, most):
            self.advance()
            if stop():
                return self.look(), done
        return self.step(), most

    def hold(self) -> None:
        """Hold the current images as those to return to; with 1 look a step, an update does it."""
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
        """Copy the current images and state, or with ``before`` those that are held.

        The parts of the state that are updated in place are always the current ones.
        """
        chosen = self._held if before else self._current
        return self._images_of(chosen), self._state_of(chosen)

    def _images_of(self, which: int) -> Array:
        return scratch.copied(self._sets[which][IMAGE].numpy())

    def _state_of(self, which: int) -> State:
        return {
            name.removeprefix(STATE): scratch.copied(value.numpy())
            for name, value in self._sets[which].items()
            if name.startswith(STATE)
        }

    def close(self) -> None:
        """Release the sessions; copies that were taken stay valid."""
        self._steps, self._updates = (), {}


def _buffer_sets(
    update: Session, first: Mapping[str, Array], in_place: set[str], count: int
) -> tuple[dict[str, Buffer], ...]:
    """Sets of image and state buffers with the first values in them.

    All sets share the buffers that are updated in place.
    """
    buffers = {name: update.buffer(values) for name, values in first.items()}
    others = (
        {
            name: value if name in in_place else update.buffer(value.numpy())
            for name, value in buffers.items()
        }
        for _ in range(count - 1)
    )
    return (buffers, *others)


def _scalars(update: Session, optimizer: Optimizer, bounds: Bounds) -> dict[str, Buffer]:
    """Buffers for the scalar inputs of an update graph."""
    return {
        "learning_rate": update.buffer(optimizer.learning_rate),
        "lower": update.buffer(bounds.lower),
        "upper": update.buffer(bounds.upper),
    }


def _as_outputs(buffers: Mapping[str, Buffer]) -> dict[str, Buffer]:
    """Buffers of an update's inputs by the names of the outputs that they become."""
    return {
        IMAGE_OUT if name == IMAGE else name.replace(STATE, STATE_OUT, 1): value
        for name, value in buffers.items()
    }
