"""The update of a large picture in strips, which bounds the memory that it computes in."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from nstbatch.runtime.arrays import Array, Shape, Shapes

from .session import BoundPass, Buffer, Session, buffer_over, values_of

STRIP = 3 * 2**20
"""Values of a strip: 12 MB for each array. A guess: larger ones are no faster."""


class StripUpdate:
    """An elementwise update that passes over the values of one picture in strips.

    See :class:`.session.Session`. The last strip begins where it ends with the picture, so it
    overlaps the one before: both write the same values there.
    """

    is_captured = False

    def __init__(self, session: Session, values: int, image_shape: Shape) -> None:
        """Take the session of a strip.

        Args:
            session: The update of an image of :data:`STRIP` values.
            values: Number of values of the picture, more than a strip has.
            image_shape: (1, 3, H, W) of the picture.
        """
        self._session, self._values = session, values
        self.output_shapes: Shapes = {
            name: image_shape if int(np.prod(shape)) == STRIP else shape
            for name, shape in session.output_shapes.items()
        }

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Update once; see :meth:`.session.Session.run`."""
        found = {name: np.zeros(shape, np.float32) for name, shape in self.output_shapes.items()}
        given = {name: buffer_over(np.ascontiguousarray(each)) for name, each in inputs.items()}
        self.bind(given, {name: buffer_over(each) for name, each in found.items()})()
        return found

    def buffer(self, values: ArrayLike) -> Buffer:
        """Make a float32 buffer with these values, in the memory of the processor."""
        return self._session.buffer(values)

    def bind(self, inputs: Mapping[str, Buffer], outputs: Mapping[str, Buffer]) -> BoundPass:
        """Make a pass over fixed buffers; see :meth:`.session.Session.bind`."""
        starts = [*range(0, self._values - STRIP, STRIP), self._values - STRIP]
        held = (inputs, outputs)  # the strips know only the buffers' addresses
        passes = [
            self._session.bind(*(self._strips(buffers, start) for buffers in held))
            for start in starts
        ]
        return partial(self._pass, passes, held)

    def _pass(self, passes: list[BoundPass], held: object) -> None:
        """Run all strips; ``held`` are the buffers that they lie in."""
        for each in passes:
            each()

    def _strips(self, buffers: Mapping[str, Buffer], start: int) -> dict[str, Buffer]:
        return {name: self._strip(buffer, start) for name, buffer in buffers.items()}

    def _strip(self, buffer: Buffer, start: int) -> Buffer:
        values = values_of(buffer)
        if values.size != self._values:
            return buffer
        strip = values.reshape(-1)[start : start + STRIP]
        return buffer_over(strip.reshape(1, 3, 1, -1))
