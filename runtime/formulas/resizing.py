"""Bilinear resizing as matrix products, which have a transpose, for formulas and views."""

from __future__ import annotations

import onnxscript
from onnxscript import FLOAT, script

from .notation import Tensor, op

DOMAIN = onnxscript.values.Opset("nstbatch.resizing", 1)


@script(DOMAIN, default_opset=op)
def bilinear(before: Tensor, after: Tensor) -> Tensor:
    """The matrix (after, before) that resizes an axis; both are lengths, (1,) int64.

    As in PyTorch's ``interpolate``: pixels have their values in their centres, and shrinking does
    not average. The matrix depends on lengths alone, so it is computed once, when a session opens.
    """
    zero, one = op.Constant(value_int=0), op.Constant(value_int=1)
    ratio = op.Cast(before, to=FLOAT.dtype) / op.Cast(after, to=FLOAT.dtype)
    places = op.Cast(op.Range(zero, op.Squeeze(after), one), to=FLOAT.dtype)
    pixels = op.Cast(op.Range(zero, op.Squeeze(before), one), to=FLOAT.dtype)
    last = op.Cast(op.Squeeze(before), to=FLOAT.dtype) - 1.0
    centres = op.Min(op.Max((places + 0.5) * ratio - 0.5, 0.0), last)
    return op.Relu(1.0 - op.Abs(op.Unsqueeze(centres, [1]) - pixels))


@script(DOMAIN, default_opset=op)
def resized(values: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, height, width); both are (1,) int64."""
    size = op.Concat(op.Shape(values, start=0, end=2), height, width, axis=0)
    return op.Resize(values, None, None, size, mode="linear")


@script(DOMAIN, default_opset=op)
def resized_back(gradient: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """The transpose of ``resized``: (N, C, h, w) -> (N, C, height, width)."""
    rows = bilinear(height, op.Shape(gradient, start=2, end=3))
    columns = bilinear(width, op.Shape(gradient, start=3, end=4))
    return op.MatMul(op.Transpose(rows), op.MatMul(gradient, columns))
