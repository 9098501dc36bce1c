"""A step whose views are computed apart from the network, since they map whole pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from numpy.typing import ArrayLike

from nstbatch.runtime.arrays import Array, Shapes
from nstbatch.runtime.names import COTANGENT, GRADIENT, IMAGE, LOSSES, SEEN

from .session import BoundPass, Buffer, Session, values_of


@dataclass(frozen=True)
class ViewSessions:
    """The sessions of views; see :mod:`nstbatch.runtime.graphs.view_graphs`."""

    see: Session
    pull_back: Session


class ViewedStep:
    """Views around a step that knows none. See :class:`.session.Session`."""

    is_captured = False

    def __init__(self, step: Session, views: ViewSessions, names: tuple[str, ...]) -> None:
        """Take a step and views.

        Args:
            step: The step of what the network sees.
            views: Their sessions.
            names: The inputs of the views, the image among them.
        """
        self._step, self._views, self._names = step, views, frozenset(names)
        self.output_shapes: Shapes = {
            LOSSES: step.output_shapes[LOSSES],
            **views.pull_back.output_shapes,
        }

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Compute losses, gradient and slopes; see :meth:`.session.Session.run`."""
        given = {name: inputs[name] for name in self._names}
        others = {name: inputs[name] for name in inputs.keys() - self._names}
        found = self._step.run({**others, IMAGE: self._views.see.run(given)[SEEN]})
        back = self._views.pull_back.run({**given, COTANGENT + SEEN: found[GRADIENT]})
        return {LOSSES: found[LOSSES], **back}

    def buffer(self, values: ArrayLike) -> Buffer:
        """Make a float32 buffer with these values, in the memory of the processor."""
        return self._step.buffer(values)

    def bind(self, inputs: Mapping[str, Buffer], outputs: Mapping[str, Buffer]) -> BoundPass:
        """Make a pass over fixed buffers; see :meth:`.session.Session.bind`."""
        return partial(self._pass, inputs, outputs)

    def _pass(self, inputs: Mapping[str, Buffer], outputs: Mapping[str, Buffer]) -> None:
        found = self.run({name: values_of(buffer) for name, buffer in inputs.items()})
        for name, buffer in outputs.items():
            values_of(buffer)[...] = found[name]
