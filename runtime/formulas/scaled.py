"""The content and style losses under a scaled squared error, as ONNX.

The error of a difference D is sum D^2 / sum |D|, and its derivative in D has an L1 norm of about 1,
whatever the scale of D: each layer pulls about as hard at the start as near the end
(style-transfer-pytorch, ScaledMSELoss). :mod:`.terms` documents inputs and outputs. The plain
squared error of a statistic is here as well.
"""

from __future__ import annotations

import onnxscript
from onnxscript import FLOAT, script

from .notation import Tensor, op
from .terms import carried_back, gram_matrix

DOMAIN = onnxscript.values.Opset("nstbatch.scaled_terms", 1)


@script(DOMAIN, default_opset=op)
def squared_error(found: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """L = w mean D^2 of D = found - target, (N, R, C) each; dL/dD = 2 w D / (R C)."""
    difference = found - target
    loss = weight * op.ReduceMean(difference * difference, [1, 2], keepdims=0)
    elements = op.Cast(op.ReduceProd(op.Shape(target, start=1)), to=FLOAT.dtype)
    return loss, difference * op.Unsqueeze(2.0 * weight / elements, [1, 2])


@script(DOMAIN, default_opset=op)
def scaled_error(difference: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """E = w sum D^2 / (sum |D| + 1e-8), (N,); dE/dD = (2 w D - E sign D) / (sum |D| + 1e-8).

    D is (N, ...). The small number keeps a difference of zero finite (style-transfer-pytorch).
    """
    axes = op.Range(1, op.Size(op.Shape(difference)), 1)
    absolute = op.ReduceSum(op.Abs(difference), axes) + 1e-8
    weights = op.Unsqueeze(weight, axes)
    error = weights * op.ReduceSum(difference * difference, axes) / absolute
    slope = (2.0 * weights * difference - error * op.Sign(difference)) / absolute
    return op.Squeeze(error, axes), slope


@script(DOMAIN, default_opset=op)
def scaled_content_loss(
    activation: Tensor, target: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """L = E(F - P); dL/dF = dE/dD."""
    loss, slope = scaled_error(activation - target, weight)
    return loss, slope


@script(DOMAIN, default_opset=op)
def scaled_style_loss(
    activation: Tensor, target: Tensor, weight: Tensor, pictures: int = 1
) -> tuple[Tensor, Tensor]:
    """L = E(G - A); dL/dF = 2 (dE/dD) F / (C H W), since dE/dD is symmetric."""
    loss, slope = scaled_error(gram_matrix(activation) - target, weight)
    elements = op.Cast(op.ReduceProd(op.Shape(activation, start=1)), to=FLOAT.dtype)
    return loss, carried_back(slope * (2.0 / elements), activation, pictures=pictures)
