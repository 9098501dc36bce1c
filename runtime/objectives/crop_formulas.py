"""The formulas of the view of crops, which :mod:`.crops` defines."""

from __future__ import annotations

import onnxscript
from onnxscript import script

from .notation import Tensor, op

DOMAIN = onnxscript.values.Opset("nstbatch.crops", 1)


@script(DOMAIN, default_opset=op)
def see_crops(image: Tensor, rows: Tensor, columns: Tensor, noise: Tensor) -> Tensor:
    """A picture (1, 3, H, W) -> crops of it (K, 3, h, w), with noise.

    The other inputs are (K, 1, h, H), (K, 1, W, w) and (K, 3, h, w), in their order.
    """
    return op.MatMul(op.MatMul(rows, image), columns) + noise


@script(DOMAIN, default_opset=op)
def pull_back_crops(
    image: Tensor, gradient: Tensor, rows: Tensor, columns: Tensor, noise: Tensor
) -> Tensor:
    """The sum of the crops' gradients, each put back to its place by the transposed matrices."""
    down = op.MatMul(op.Transpose(rows, perm=[0, 1, 3, 2]), gradient)
    placed = op.MatMul(down, op.Transpose(columns, perm=[0, 1, 3, 2]))
    return op.ReduceSum(placed, [0], keepdims=1)
