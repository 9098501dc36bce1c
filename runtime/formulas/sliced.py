"""The formulas of the sliced Wasserstein distance, as ONNX.

Heitz, Vanhoey, Chambon & Belcour 2021, "A Sliced Wasserstein Loss for Neural Texture Synthesis":
the columns of a layer are projected on unit directions, as many as it has channels, and sorted;
compared are the sorted values. :mod:`nstbatch.runtime.objectives.style_losses` has the term.

TensorRT sorts no more than 3840 values. So the places of a layer are dealt out to an odd number of
hands of about 1024 places, and each hand is sorted for itself and compared with the mean hand of
the exemplar, at 256 quantiles. Both numbers are guesses.

The directions stay the same in every step, since L-BFGS needs an objective that does not change.
"""

from __future__ import annotations

import onnxscript
from onnxscript import FLOAT, script

from .notation import Tensor, Whole, op
from .resizing import bilinear

DOMAIN = onnxscript.values.Opset("nstbatch.sliced", 1)


@script(DOMAIN, default_opset=op)
def directions(activation: Tensor) -> Tensor:
    """Unit vectors that look random, one for each channel of the activation: (C, C).

    A hash of row and column gives two numbers in (0, 1), and these a normal one (Box & Muller
    1958). 46337 is the largest prime whose square fits into 31 bits.
    """
    zero, one = op.Constant(value_int=0), op.Constant(value_int=1)
    numbers = op.Range(zero, op.Squeeze(op.Shape(activation, start=1, end=2)), one) + 1
    row, column = op.Unsqueeze(numbers, [1]), op.Unsqueeze(numbers, [0])
    mixed = op.Mod(op.Mod(row * row * 31 + column, 46337) * (column * 17 + row), 46337)
    first = op.Mod(op.Mod(mixed * mixed + row, 46337) * mixed + column, 46337)
    second = op.Mod(op.Mod(first * first + mixed, 46337) * first + row, 46337)
    length = op.Sqrt(-2.0 * op.Log((op.Cast(first, to=FLOAT.dtype) + 0.5) / 46337.0))
    normal = length * op.Cos(op.Cast(second, to=FLOAT.dtype) * (6.283185307179586 / 46337.0))
    return normal / op.Sqrt(op.ReduceSum(normal * normal, [1], keepdims=1))


@script(DOMAIN, default_opset=op)
def hands(activation: Tensor) -> tuple[Whole, Whole]:
    """The number of places in a hand, (1,), and that of hands, which is odd: (1,)."""
    places = op.ReduceProd(op.Shape(activation, start=2), keepdims=0)
    many = op.Reshape(places / 2048 * 2 + 1, [1])
    return places / many, many


@script(DOMAIN, default_opset=op)
def sorted_hands(activation: Tensor) -> tuple[Tensor, Whole]:
    """Sort the projections of each hand, from large to small; and the place of each: (N, C, K, M).

    The few places that are left over after dealing are in no hand.
    """
    size, many = hands(activation)
    flat = op.Reshape(activation, [0, 0, -1])
    dealt = op.Slice(flat, [0], size * many, [2])
    projected = op.MatMul(directions(activation), dealt)
    shape = op.Concat(op.Shape(activation, start=0, end=2), size, many, axis=0)
    values, places = op.TopK(op.Reshape(projected, shape), size, axis=2)
    return values, places


@script(DOMAIN, default_opset=op)
def quantiles(activation: Tensor) -> Tensor:
    """The mean of the sorted hands, resampled: (N, C, 256)."""
    values, _ = sorted_hands(activation)
    size, _ = hands(activation)
    mean = op.ReduceMean(values, [3], keepdims=0)
    return op.MatMul(mean, op.Transpose(bilinear(size, op.Constant(value_ints=[256]))))


@script(DOMAIN, default_opset=op)
def sliced_loss(activation: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """L = w mean (sort(V F) - T)^2, over directions, hands and places; V are the directions.

    The derivative of a sorted value goes to the place that it came from, and V^T takes it back.
    """
    values, places = sorted_hands(activation)
    size, many = hands(activation)
    sought = op.MatMul(target, op.Transpose(bilinear(op.Constant(value_ints=[256]), size)))
    difference = values - op.Unsqueeze(sought, [3])
    loss = weight * op.ReduceMean(difference * difference, [1, 2, 3], keepdims=0)
    elements = op.Cast(op.ReduceProd(op.Shape(values, start=1)), to=FLOAT.dtype)
    slope = difference * op.Unsqueeze(2.0 * weight / elements, [1, 2, 3])
    dealt = op.ScatterElements(op.ConstantOfShape(op.Shape(values)), places, slope, axis=2)
    flat = op.Reshape(dealt, [0, 0, -1])
    pulled = op.MatMul(op.Transpose(directions(activation)), flat)
    rest = op.ReduceProd(op.Shape(activation, start=2), keepdims=0) - op.Squeeze(size * many)
    whole = op.Pad(pulled, op.Concat([0, 0, 0, 0, 0], op.Reshape(rest, [1]), axis=0))
    return loss, op.Reshape(whole, op.Shape(activation))
