"""The terms of dreams: what a layer sees, made more of.

Each loss is what the run makes more of, with a minus sign, since a loop goes down. None of them is
relative to a target: their steps have a length of their own.
"""

from __future__ import annotations

import onnxscript
from onnxscript import FLOAT, script

from .terms import Objective, Tensor, Term, op

DOMAIN = onnxscript.values.Opset("nstbatch.dream_terms", 1)


def energy(layer: str) -> Objective:
    """Half the mean square of chosen channels (google/deepdream: ``objective_L2``).

    Its target is given: a weight for every channel, (1, C, 1, 1), such as 0 and 1.
    """
    return _single("energy", layer, energy_loss)


def guide(layer: str) -> Objective:
    """Likeness to the features of a guide picture (google/deepdream: ``objective_guide``)."""
    term = Term("guide", layer, guide_loss, guide_features, relative=False)
    return Objective(((1.0, term),))


def score(layer: str) -> Objective:
    """Mean over the positions of a class's score, before the softmax (Simonyan et al. 2014).

    Its target is given: 1 for the class and 0 for the others, (1, C, 1).
    """
    return _single("score", layer, score_loss)


def likelihood(layer: str) -> Objective:
    """Logarithm of a class's probability, which lowers the scores of the others.

    Its target is given: 1 for the class and 0 for the others, (1, C, 1).
    """
    return _single("likelihood", layer, likelihood_loss)


def _single(kind: str, layer: str, loss: object) -> Objective:
    return Objective(((1.0, Term(kind, layer, loss, given=True, relative=False)),))


@script(DOMAIN, default_opset=op)
def energy_loss(activation: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """L = -w/2 mean (t F^2); dL/dF = -w t F / (C H W)."""
    chosen = activation * target
    loss = -0.5 * weight * op.ReduceMean(chosen * activation, [1, 2, 3], keepdims=0)
    elements = op.Cast(op.ReduceProd(op.Shape(activation, start=1)), to=FLOAT.dtype)
    return loss, -chosen * op.Unsqueeze(weight / elements, [1, 2, 3])


@script(DOMAIN, default_opset=op)
def guide_features(activation: Tensor) -> Tensor:
    """The features of one picture, (1, C, H, W), a row for each position: (H W, C)."""
    return op.Transpose(op.Squeeze(op.Reshape(activation, [0, 0, -1]), [0]))


@script(DOMAIN, default_opset=op)
def guide_loss(activation: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """L = -w / (C H W) sum_x max_p t_p . F_x; dL/dF_x is that of the feature p it is likest to.

    A maximum's derivative is that of what is largest, so the two agree.
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
    """L = -w mean_x t . F_x; dL/dF_x = -w t / (H W). Scores without positions have one."""
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
