"""The formulas of the views that move pixels, which :mod:`.views` defines."""

from __future__ import annotations

import onnxscript
from onnxscript import INT64, script

from .notation import Tensor, op

DOMAIN = onnxscript.values.Opset("nstbatch.views", 1)

# --- Jitter -----------------------------------------------------------------------------------


@script(DOMAIN, default_opset=op)
def rolled(values: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Shift (N, C, H, W) by whole pixels, () each; pixels that leave at one edge enter opposite.

    It gathers computed rows and columns, since slices at variable positions have no static shape.
    """
    height, width = op.Shape(values, start=2, end=3), op.Shape(values, start=3, end=4)
    zero, one = op.Constant(value_int=0), op.Constant(value_int=1)
    rows = op.Range(zero, op.Squeeze(height), one) - op.Cast(down, to=INT64.dtype)
    columns = op.Range(zero, op.Squeeze(width), one) - op.Cast(right, to=INT64.dtype)
    moved = op.Gather(values, op.Mod(rows, height), axis=2)
    return op.Gather(moved, op.Mod(columns, width), axis=3)


@script(DOMAIN, default_opset=op)
def see_rolled(image: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """The shifted image."""
    return rolled(image, down, right)


@script(DOMAIN, default_opset=op)
def pull_back_rolled(image: Tensor, gradient: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """The gradient, shifted back."""
    return rolled(gradient, -down, -right)


# --- Wrapping ---------------------------------------------------------------------------------


@script(DOMAIN, default_opset=op)
def continued(values: Tensor, axis: int, margin: int) -> Tensor:
    """Extend an axis at both ends by ``margin`` values from its opposite end."""
    along, reach = op.Reshape(axis, [1]), op.Reshape(margin, [1])
    last = op.Slice(values, -reach, [2147483647], along)
    first = op.Slice(values, [0], reach, along)
    return op.Concat(last, values, first, axis=axis)


@script(DOMAIN, default_opset=op)
def folded(values: Tensor, axis: int, margin: int) -> Tensor:
    """The transpose of ``continued``: add the margins of an axis to the values they copied.

    The pads are for all four axes: CUDA's provider turns a graph to channels last, and then an
    input that names axes would name others (seen with ONNX Runtime 1.31).
    """
    along, reach = op.Reshape(axis, [1]), op.Reshape(margin, [1])
    before = op.Slice(values, [0], reach, along)
    inner = op.Slice(values, reach, -reach, along)
    after = op.Slice(values, -reach, [2147483647], along)
    rest = op.Gather(op.Shape(inner), along) - reach
    pads = rest * op.Cast(op.Equal([0, 1, 2, 3], along), to=INT64.dtype)
    at_end = op.Pad(before, op.Concat(pads, [0, 0, 0, 0], axis=0))
    at_start = op.Pad(after, op.Concat([0, 0, 0, 0], pads, axis=0))
    return inner + at_end + at_start


@script(DOMAIN, default_opset=op)
def see_wrapped(image: Tensor, margin: int) -> Tensor:
    """(N, 3, H, W) -> (N, 3, H + 2 margin, W + 2 margin)."""
    return continued(continued(image, axis=2, margin=margin), axis=3, margin=margin)


@script(DOMAIN, default_opset=op)
def pull_back_wrapped(image: Tensor, gradient: Tensor, margin: int) -> Tensor:
    """The gradient with its margins folded in, in the reverse order of ``see_wrapped``."""
    return folded(folded(gradient, axis=3, margin=margin), axis=2, margin=margin)
