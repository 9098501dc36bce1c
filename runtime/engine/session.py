"""The contract of sessions: one graph at one size on one device, and its passes over buffers.

Sessions always get static shapes, and a loop always the same buffers: the state of a run stays on
the device, and a CUDA graph can be captured.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

import numpy as np
import onnxruntime as ort
from numpy.typing import ArrayLike

from nstbatch.runtime.arrays import Array, Shapes

Buffer: TypeAlias = ort.OrtValue
"""Float32 values on a device."""

BoundPass: TypeAlias = Callable[[], None]
"""Runs a graph once over fixed buffers; raises a StoppedError if the pass was terminated, and the
outputs are then undefined."""


class Session(Protocol):
    """A graph that is ready to run."""

    output_shapes: Shapes
    """The shape of every output, by name."""

    @property
    def is_captured(self) -> bool:
        """True if its bound passes are recorded as CUDA graphs; False once that has failed."""

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once on arrays, by the names of the graph's inputs and outputs; from any thread.

        Args:
            inputs: Every input, float32, of the shape given when the session was opened.

        Raises:
            StoppedError: It was terminated.
        """

    def buffer(self, values: ArrayLike) -> Buffer:
        """Make a float32 buffer on the session's device with these values."""

    def bind(self, inputs: Mapping[str, Buffer], outputs: Mapping[str, Buffer]) -> BoundPass:
        """Make a pass that reads and writes these buffers each time it is called.

        Args:
            inputs: A buffer for every input, by name.
            outputs: A buffer for every output. It may be an input too only if the graph allows it;
                see :attr:`nstbatch.runtime.descent.optimizers.Optimizer.in_place`.
        """


def buffer_over(values: Array) -> Buffer:
    """Return a buffer over a contiguous array, without a copy; it is valid as long as the array."""
    return ort.OrtValue.ortvalue_from_numpy(values, "cpu", 0)


def values_of(buffer: Buffer) -> Array:
    """Return a buffer in the memory of the processor as an array, without a copy.

    The array is valid as long as the buffer.
    """
    shape = tuple(buffer.shape())
    address = ctypes.cast(buffer.data_ptr(), ctypes.POINTER(ctypes.c_float))
    return np.ctypeslib.as_array(address, shape=shape or (1,)).reshape(shape)
