"""The way of one layer's cotangent back to the image, as a term of an objective.

The derivative of the inner product of an activation F and a tensor v is v itself, so linking this
term to a gradient graph makes the gradient what v becomes on its way back to the image: with the
deconv graph, the projection of Zeiler & Fergus 2014, section 2.1. All other layers are without a
term, and their cotangents are zeros.
"""

from __future__ import annotations

from onnxscript import script

from .terms import DOMAIN, Tensor, Term, content_target, op


def projection(layer: str) -> Term:
    """The inner product of a layer's activation with its target, which is the cotangent."""
    return Term("projection", layer, inner_product, content_target)


@script(DOMAIN, default_opset=op)
def inner_product(activation: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """L = w <F, v> for every picture; dL/dF = w v. Of (N, C, H, W) or (N, C) alike."""
    loss = weight * op.ReduceSum(op.Flatten(activation * target, axis=1), [1], keepdims=0)
    # The batch is the last axis once all are turned around, so that the weights meet it.
    return loss, op.Transpose(op.Transpose(target) * weight)
