"""The formulas of Gram matrices between a layer and shifted copies of it, as ONNX.

Berger & Memisevic 2016, "Incorporating long-range consistency in CNN-based texture generation". A
Gram matrix says which features occur together at one place; a shifted one says which occur together
``shift`` places apart, so it knows repetitions. The terms are in
:mod:`nstbatch.runtime.objectives.style_losses`.
"""

from __future__ import annotations

import onnxscript
from onnxscript import FLOAT, INT64, script

from .notation import Tensor, op
from .scaled import squared_error

DOMAIN = onnxscript.values.Opset("nstbatch.correlations", 1)


@script(DOMAIN, default_opset=op)
def pair(activation: Tensor, axis: int, shift: int) -> tuple[Tensor, Tensor]:
    """The activation without its first ``shift`` places along an axis, and without its last ones.

    Both are divided by the root of their number of values: (N, C, P).
    """
    along, reach = op.Reshape(axis, [1]), op.Reshape(shift, [1])
    later = op.Slice(activation, reach, [2147483647], along)
    earlier = op.Slice(activation, [0], -reach, along)
    scale = op.Sqrt(op.Cast(op.ReduceProd(op.Shape(later, start=1)), to=FLOAT.dtype))
    return op.Reshape(later, [0, 0, -1]) / scale, op.Reshape(earlier, [0, 0, -1]) / scale


@script(DOMAIN, default_opset=op)
def shifted_gram(activation: Tensor, axis: int, shift: int) -> Tensor:
    """G = F(p + shift) F(p)^T / (C P) over the P places p that have such a neighbour, (N, C, C)."""
    later, earlier = pair(activation, axis=axis, shift=shift)
    return op.MatMul(later, op.Transpose(earlier, perm=[0, 2, 1]))


@script(DOMAIN, default_opset=op)
def shifted_grams(activation: Tensor, shift: int = 1) -> Tensor:
    """The shifted Gram matrices down and to the right, one above the other: (N, 2 C, C)."""
    down = shifted_gram(activation, axis=2, shift=shift)
    right = shifted_gram(activation, axis=3, shift=shift)
    return op.Concat(down, right, axis=1)


@script(DOMAIN, default_opset=op)
def pulled_apart(activation: Tensor, slope: Tensor, axis: int, shift: int) -> Tensor:
    """The derivative of <slope, G> in F: slope F(p) at p + shift, and slope^T F(p + shift) at p.

    The pads are for all four axes; see ``folded`` in :mod:`.views`.
    """
    later, earlier = pair(activation, axis=axis, shift=shift)
    scale = op.Sqrt(op.Cast(op.ReduceProd(op.Shape(later, start=1)), to=FLOAT.dtype))
    along = op.Reshape(axis, [1])
    pads = op.Reshape(shift, [1]) * op.Cast(op.Equal([0, 1, 2, 3], along), to=INT64.dtype)
    size = op.Shape(activation) - pads
    of_later = op.Reshape(op.MatMul(slope, earlier), size)
    of_earlier = op.Reshape(op.MatMul(op.Transpose(slope, perm=[0, 2, 1]), later), size)
    at_later = op.Pad(of_later, op.Concat(pads, [0, 0, 0, 0], axis=0))
    at_earlier = op.Pad(of_earlier, op.Concat([0, 0, 0, 0], pads, axis=0))
    return (at_later + at_earlier) / scale


@script(DOMAIN, default_opset=op)
def shifted_gram_loss(
    activation: Tensor, target: Tensor, weight: Tensor, shift: int = 1
) -> tuple[Tensor, Tensor]:
    """L = w mean (G - A)^2 over both matrices; dL/dG = w (G - A) / C^2."""
    loss, slope = squared_error(shifted_grams(activation, shift=shift), target, weight)
    down, right = op.Split(slope, axis=1, num_outputs=2)
    of_down = pulled_apart(activation, down, axis=2, shift=shift)
    return loss, of_down + pulled_apart(activation, right, axis=3, shift=shift)


@script(DOMAIN, default_opset=op)
def pairs_within(guide: Tensor, axis: int, shift: int) -> Tensor:
    """The mean of g(p + shift) g(p), (N, 1, 1): what a shifted Gram matrix of g F is too small by.

    Pairs across the border of a region do not count. At least 0.01, a guess: a region that has so
    few pairs has no matrix worth a loss.
    """
    later, earlier = pair(guide, axis=axis, shift=shift)
    return op.Max(op.ReduceSum(later * earlier, [2]), 0.01)


@script(DOMAIN, default_opset=op)
def shifted_grams_within(activation: Tensor, guide: Tensor, shift: int = 1) -> Tensor:
    """The shifted Gram matrices of the pairs in a region, from g F and its guide g."""
    down = shifted_gram(activation, axis=2, shift=shift)
    right = shifted_gram(activation, axis=3, shift=shift)
    of_down = down / pairs_within(guide, axis=2, shift=shift)
    return op.Concat(of_down, right / pairs_within(guide, axis=3, shift=shift), axis=1)


@script(DOMAIN, default_opset=op)
def shifted_gram_loss_within(
    activation: Tensor, target: Tensor, weight: Tensor, guide: Tensor, shift: int = 1
) -> tuple[Tensor, Tensor]:
    """The same as ``shifted_gram_loss`` in a region, and the derivative in g F."""
    difference = shifted_grams_within(activation, guide, shift=shift) - target
    loss = weight * op.ReduceMean(difference * difference, [1, 2], keepdims=0)
    elements = op.Cast(op.ReduceProd(op.Shape(target, start=1)), to=FLOAT.dtype)
    slope = difference * op.Unsqueeze(2.0 * weight / elements, [1, 2])
    down, right = op.Split(slope, axis=1, num_outputs=2)
    down = down / pairs_within(guide, axis=2, shift=shift)
    right = right / pairs_within(guide, axis=3, shift=shift)
    of_down = pulled_apart(activation, down, axis=2, shift=shift)
    return loss, of_down + pulled_apart(activation, right, axis=3, shift=shift)
