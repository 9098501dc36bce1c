"""The formulas of hypercolumns and of the terms on them, which :mod:`.hypercolumns` defines."""

from __future__ import annotations

import onnxscript
from onnxscript import FLOAT, script

from .notation import Tensor, op
from .resizing import resized, resized_back

DOMAIN = onnxscript.values.Opset("nstbatch.hypercolumns", 1)

# Added to squared lengths, since a column of zeros has no direction; NNST's bound for them.
SMALLEST_SQUARE = 1e-8

# --- Columns ----------------------------------------------------------------------------------


@script(DOMAIN, default_opset=op)
def see_quarter(activation: Tensor, image: Tensor) -> Tensor:
    """The activation at a quarter of the image's height and width, divided by its channels."""
    height = op.Max(op.Shape(image, start=2, end=3) / 4, 1)
    width = op.Max(op.Shape(image, start=3, end=4) / 4, 1)
    channels = op.Cast(op.Shape(activation, start=1, end=2), to=FLOAT.dtype)
    return resized(activation, height, width) / channels


@script(DOMAIN, default_opset=op)
def pull_back_columns(activation: Tensor, image: Tensor, gradient: Tensor) -> Tensor:
    """The transpose of ``see_quarter`` and ``see_grid``."""
    height = op.Shape(activation, start=2, end=3)
    width = op.Shape(activation, start=3, end=4)
    channels = op.Cast(op.Shape(activation, start=1, end=2), to=FLOAT.dtype)
    return resized_back(gradient / channels, height, width)


@script(DOMAIN, default_opset=op)
def see_grid(activation: Tensor, image: Tensor, side: int = 32) -> Tensor:
    """The activation at ``side`` by ``side`` places at most, divided by its channels."""
    height = op.Max(op.Min(op.Shape(image, start=2, end=3) / 4, side), 1)
    width = op.Max(op.Min(op.Shape(image, start=3, end=4) / 4, side), 1)
    channels = op.Cast(op.Shape(activation, start=1, end=2), to=FLOAT.dtype)
    return resized(activation, height, width) / channels


@script(DOMAIN, default_opset=op)
def columns(joint: Tensor) -> Tensor:
    """The columns themselves, (N, D, h, w)."""
    return op.Identity(joint)


# --- Nearest neighbours -----------------------------------------------------------------------


@script(DOMAIN, default_opset=op)
def matched_loss(joint: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """L = w mean_p (1 - f_p . t_p / |f_p|), of target columns t of length 1.

    With u = f / |f|: dL/df_p = w / (h w) ((u_p . t_p) u_p - t_p) / |f_p|.
    """
    square = op.ReduceSum(joint * joint, [1], keepdims=1) + SMALLEST_SQUARE
    shrink = 1.0 / op.Sqrt(square)
    cosine = op.ReduceSum(joint * target, [1], keepdims=1) * shrink
    loss = weight * (1.0 - op.ReduceMean(cosine, [1, 2, 3], keepdims=0))
    places = op.Cast(op.ReduceProd(op.Shape(joint, start=2)), to=FLOAT.dtype)
    slope = op.Unsqueeze(weight / places, [1, 2, 3]) * shrink
    return loss, joint * (slope * cosine * shrink) - target * slope


# --- Self-similarity --------------------------------------------------------------------------


@script(DOMAIN, default_opset=op)
def directions(joint: Tensor) -> tuple[Tensor, Tensor]:
    """The columns with length 1, (N, D, P), and one over their lengths, (N, 1, P)."""
    flat = op.Reshape(joint, [0, 0, -1])
    shrink = 1.0 / op.Sqrt(op.ReduceSum(flat * flat, [1], keepdims=1) + SMALLEST_SQUARE)
    return flat * shrink, shrink


@script(DOMAIN, default_opset=op)
def self_similarity(joint: Tensor) -> Tensor:
    """The cosines of all pairs of columns, (N, P, P)."""
    units, _ = directions(joint)
    return op.MatMul(op.Transpose(units, perm=[0, 2, 1]), units)


@script(DOMAIN, default_opset=op)
def self_similarity_loss(joint: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """L = w mean |S - T|, of S = U^T U for columns U of length 1.

    With G = sign(S - T), which is symmetric: dL/dU = 2 w U G / P^2, and the part of it along a
    column does not change that column's direction.
    """
    units, shrink = directions(joint)
    difference = op.MatMul(op.Transpose(units, perm=[0, 2, 1]), units) - target
    loss = weight * op.ReduceMean(op.Abs(difference), [1, 2], keepdims=0)
    pairs = op.Cast(op.ReduceProd(op.Shape(target, start=1)), to=FLOAT.dtype)
    scale = op.Unsqueeze(2.0 * weight / pairs, [1, 2])
    pull = op.MatMul(units, op.Sign(difference) * scale)
    along = op.ReduceSum(pull * units, [1], keepdims=1)
    return loss, op.Reshape((pull - units * along) * shrink, op.Shape(joint))


# --- The search -------------------------------------------------------------------------------


@script(default_opset=op)
def most_similar(queries: Tensor, candidates: Tensor) -> Tensor:
    """Queries (Q, D) and candidates (D, P) -> the candidate with the largest product, (Q,)."""
    number = op.ArgMax(op.MatMul(queries, candidates), axis=1, keepdims=0)
    return op.Cast(number, to=FLOAT.dtype)
