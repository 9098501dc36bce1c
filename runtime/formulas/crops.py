"""The formulas of the view of crops, which :mod:`.crops` defines."""

from __future__ import annotations

import onnxscript
from onnxscript import script

from .notation import Tensor, op

DOMAIN = onnxscript.values.Opset("nstbatch.crops", 1)


# One product for all crops, and none that repeats an operand: CUDA's provider multiplies those by a
# list of pointers, which a CUDA graph of ONNX Runtime 1.29 or older does not keep.


@script(DOMAIN, default_opset=op)
def see_crops(image: Tensor, rows: Tensor, columns: Tensor, noise: Tensor) -> Tensor:
    """A picture (1, 3, H, W) -> crops of it (K, 3, h, w), with noise.

    The other inputs are (K, 1, h, H), (K, 1, W, w) and (K, 3, h, w), in their order. The rows of
    all crops are one matrix, (K h, H), and so are those of the picture, (H, 3 W).
    """
    count, height = op.Shape(noise, start=0, end=1), op.Shape(noise, start=2, end=3)
    colours, width = op.Shape(noise, start=1, end=2), op.Shape(noise, start=3, end=4)
    all_rows = op.Reshape(rows, op.Concat([-1], op.Shape(rows, start=3), axis=0))
    lines = op.Transpose(image, perm=[0, 2, 1, 3])
    lines = op.Reshape(lines, op.Concat(op.Shape(image, start=2, end=3), [-1], axis=0))
    across = op.Concat(count, height * colours, op.Shape(image, start=3), axis=0)
    crops = op.MatMul(op.Reshape(op.MatMul(all_rows, lines), across), op.Squeeze(columns, [1]))
    crops = op.Reshape(crops, op.Concat(count, height, colours, width, axis=0))
    return op.Transpose(crops, perm=[0, 2, 1, 3]) + noise


@script(DOMAIN, default_opset=op)
def pull_back_crops(
    image: Tensor, gradient: Tensor, rows: Tensor, columns: Tensor, noise: Tensor
) -> Tensor:
    """The sum of the crops' gradients, each put back to its place by the transposed matrices."""
    count, width = op.Shape(noise, start=0, end=1), op.Shape(noise, start=3, end=4)
    all_rows = op.Reshape(rows, op.Concat([-1], op.Shape(rows, start=3), axis=0))
    lines = op.Transpose(gradient, perm=[0, 2, 1, 3])
    lines = op.Reshape(lines, op.Concat(count, [-1], width, axis=0))
    across = op.MatMul(lines, op.Transpose(op.Squeeze(columns, [1]), perm=[0, 2, 1]))
    colours = op.Shape(image, start=1, end=2) * op.Shape(image, start=3)
    placed = op.Reshape(across, op.Concat([-1], colours, axis=0))
    placed = op.MatMul(op.Transpose(all_rows), placed)
    heights, others = op.Shape(image, start=2, end=3), op.Shape(image, start=1, end=2)
    placed = op.Reshape(placed, op.Concat([1], heights, others, op.Shape(image, start=3), axis=0))
    return op.Transpose(placed, perm=[0, 2, 1, 3])
