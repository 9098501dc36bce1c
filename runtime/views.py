"""Views: what the network sees of the image that an optimiser moves.

Between the two there may be a chain of maps: the image shifted by a few pixels that change with
every step, continued around its edges, or decoded from other coordinates. The contract of a view
is two onnxscript functions:

* ``see(image, *inputs) -> seen``: (N, 3, H, W) to (N, 3, H', W');
* ``pull_back(image, gradient, *inputs) -> gradient``: d(loss)/d(seen), of the shape of ``seen``, to
  d(loss)/d(image), of the shape of ``image``; the transposed derivative of ``see`` at the image.

Terms on the image are handed what the network sees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxscript
from onnxscript import INT64, script

from .session import Array
from .terms import Tensor, op

DOMAIN = onnxscript.values.Opset("nstbatch.views", 1)
VIEW = "view/"


@dataclass(frozen=True)
class View:
    """One map between the image and the network.

    Attributes:
        name: Of its inputs' first part.
        see: Forward.
        pull_back: Backward.
        inputs: Names of further inputs of both; in the step graph ``view/<name>/<input>``.
        attributes: Fixed numbers that both functions are called with.
    """

    name: str
    see: Any
    pull_back: Any
    inputs: tuple[str, ...] = ()
    attributes: tuple[tuple[str, float], ...] = ()

    @property
    def graph_inputs(self) -> tuple[str, ...]:
        """The names of its inputs in a step graph."""
        return tuple(f"{VIEW}{self.name}/{name}" for name in self.inputs)


# --- Jitter -----------------------------------------------------------------------------------


@script(DOMAIN, default_opset=op)
def rolled(values: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """(N, C, H, W) moved by whole pixels, () each; what leaves at one edge comes in at the other.

    A gather from computed rows, since slices at a variable place would have no static shape.
    """
    height, width = op.Shape(values, start=2, end=3), op.Shape(values, start=3, end=4)
    zero, one = op.Constant(value_int=0), op.Constant(value_int=1)
    rows = op.Range(zero, op.Squeeze(height), one) - op.Cast(down, to=INT64.dtype)
    columns = op.Range(zero, op.Squeeze(width), one) - op.Cast(right, to=INT64.dtype)
    moved = op.Gather(values, op.Mod(rows, height), axis=2)
    return op.Gather(moved, op.Mod(columns, width), axis=3)


@script(DOMAIN, default_opset=op)
def see_rolled(image: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """The image moved."""
    return rolled(image, down, right)


@script(DOMAIN, default_opset=op)
def pull_back_rolled(image: Tensor, gradient: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """The gradient moved back."""
    return rolled(gradient, -down, -right)


JITTER = View("jitter", see_rolled, pull_back_rolled, ("down", "right"))
"""The image moved in a circle by a shift that is new in every step (google/deepdream: np.roll)."""


def random_jitter(pixels: int, seed: int) -> Callable[[], Mapping[str, Array]]:
    """What :data:`JITTER` is to be given before each step: up to so many pixels either way."""
    random = np.random.default_rng(seed)

    def draw() -> dict[str, Array]:
        shifts = random.integers(-pixels, pixels, size=2, endpoint=True)
        return {
            name: np.asarray(shift, np.float32)
            for name, shift in zip(JITTER.graph_inputs, shifts, strict=True)
        }

    return draw
