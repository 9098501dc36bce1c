"""The image continued around its edges: the view that makes a picture tile.

A network pads with zeros, so it sees an edge where there is one. Through this view it sees beyond
each edge what a tiling shows there: the rows and columns at the opposite edge.
"""

from __future__ import annotations

from onnxscript import script

from .terms import Tensor, op
from .views import DOMAIN, View


@script(DOMAIN, default_opset=op)
def continued(values: Tensor, axis: int, margin: int) -> Tensor:
    """Values with the last ``margin`` of an axis before its first, and the first after its last."""
    along, reach = op.Reshape(axis, [1]), op.Reshape(margin, [1])
    last = op.Slice(values, -reach, [2147483647], along)
    first = op.Slice(values, [0], reach, along)
    return op.Concat(last, values, first, axis=axis)


@script(DOMAIN, default_opset=op)
def folded(values: Tensor, axis: int, margin: int) -> Tensor:
    """The transposed map: the margins of an axis added to where they were taken from."""
    along, reach = op.Reshape(axis, [1]), op.Reshape(margin, [1])
    before = op.Slice(values, [0], reach, along)
    inner = op.Slice(values, reach, -reach, along)
    after = op.Slice(values, -reach, [2147483647], along)
    rest = op.Gather(op.Shape(inner), along) - reach
    none = op.Constant(value_ints=[0])
    at_end = op.Pad(before, op.Concat(rest, none, axis=0), None, along)
    at_start = op.Pad(after, op.Concat(none, rest, axis=0), None, along)
    return inner + at_end + at_start


@script(DOMAIN, default_opset=op)
def see_wrapped(image: Tensor, margin: int) -> Tensor:
    """(N, 3, H, W) -> (N, 3, H + 2 margin, W + 2 margin)."""
    return continued(continued(image, axis=2, margin=margin), axis=3, margin=margin)


@script(DOMAIN, default_opset=op)
def pull_back_wrapped(image: Tensor, gradient: Tensor, margin: int) -> Tensor:
    """The gradient with its margins folded in, the other way round."""
    return folded(folded(gradient, axis=3, margin=margin), axis=2, margin=margin)


def wrapped(margin: int) -> View:
    """The image with a margin of what lies at its opposite edges.

    Args:
        margin: In pixels, at least 1; no more than the shorter side of the image.
    """
    return View("wrapped", see_wrapped, pull_back_wrapped, attributes=(("margin", margin),))
