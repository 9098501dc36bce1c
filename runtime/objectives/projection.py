"""The way of one layer's cotangent back to the image, as a term of an objective.

The derivative of the inner product of an activation F and a tensor v is v itself, so linking this
term to a gradient graph makes the gradient what v becomes on its way back to the image: with the
deconv graph, the projection of Zeiler & Fergus 2014, section 2.1. All other layers are without a
term, and their cotangents are zeros.
"""

from __future__ import annotations

from .formula import Formula
from .terms import FORMULAS, Term


def projection(layer: str) -> Term:
    """The inner product of a layer's activation with its target, which is the cotangent."""
    loss, target = Formula(FORMULAS, "inner_product"), Formula(FORMULAS, "content_target")
    return Term("projection", layer, loss, target)
