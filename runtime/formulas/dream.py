"""The formulas of the dream terms, which :mod:`nstbatch.runtime.objectives.dream_terms` defines."""

from __future__ import annotations

import onnxscript
from onnxscript import FLOAT, script

from .notation import Tensor, op

DOMAIN = onnxscript.values.Opset("nstbatch.dream_terms", 1)


@script(DOMAIN, default_opset=op)
def energy_loss(activation: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """L = -w/2 mean (t F^2); dL/dF = -w t F / (C H W)."""
    chosen = activation * target
    loss = -0.5 * weight * op.ReduceMean(chosen * activation, [1, 2, 3], keepdims=0)
    elements = op.Cast(op.ReduceProd(op.Shape(activation, start=1)), to=FLOAT.dtype)
    return loss, -chosen * op.Unsqueeze(weight / elements, [1, 2, 3])


@script(DOMAIN, default_opset=op)
def guide_features(activation: Tensor) -> Tensor:
    """The features of one picture, (1, C, H, W) -> (H W, C), one row for each position."""
    return op.Transpose(op.Squeeze(op.Reshape(activation, [0, 0, -1]), [0]))


@script(DOMAIN, default_opset=op)
def guide_loss(activation: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """L = -w / (C H W) sum_x max_p t_p . F_x; dL/dF_x = -w / (C H W) t_p of that p.

    The derivative of a maximum is the derivative of its largest element.
    """
    features = op.Reshape(activation, [0, 0, -1])
    likeness = op.MatMul(target, features)
    elements = op.Cast(op.ReduceProd(op.Shape(activation, start=1)), to=FLOAT.dtype)
    scale = weight / elements
    loss = -scale * op.ReduceSum(op.ReduceMax(likeness, [1], keepdims=0), [1], keepdims=0)

    likest = op.Gather(target, op.ArgMax(likeness, axis=1, keepdims=0), axis=0)
    pull = op.Reshape(op.Transpose(likest, perm=[0, 2, 1]), op.Shape(activation))
    return loss, -pull * op.Unsqueeze(scale, [1, 2, 3])


@script(DOMAIN, default_opset=op)
def score_loss(activation: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """L = -w mean_x t . F_x; dL/dF_x = -w t / (H W). (N, C) scores count as one position."""
    scores = op.Reshape(activation, [0, 0, -1])
    chosen = op.ReduceSum(scores * target, [1], keepdims=0)
    loss = -weight * op.ReduceMean(chosen, [1], keepdims=0)
    positions = op.Cast(op.Shape(scores, start=2), to=FLOAT.dtype)
    pull = op.Expand(-target * op.Unsqueeze(weight / positions, [1, 2]), op.Shape(scores))
    return loss, op.Reshape(pull, op.Shape(activation))


@script(DOMAIN, default_opset=op)
def likelihood_loss(activation: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """L = -w t . log p, p = softmax of mean_x F_x; dL/dF_x = w (p - t) / (H W)."""
    scores = op.Reshape(activation, [0, 0, -1])
    logarithms = op.LogSoftmax(op.ReduceMean(scores, [2], keepdims=1), axis=1)
    loss = -weight * op.ReduceSum(logarithms * target, [1, 2], keepdims=0)
    positions = op.Cast(op.Shape(scores, start=2), to=FLOAT.dtype)
    slope = (op.Exp(logarithms) - target) * op.Unsqueeze(weight / positions, [1, 2])
    return loss, op.Reshape(op.Expand(slope, op.Shape(scores)), op.Shape(activation))
