"""The image continued around its edges: the view that makes a picture tile.

A network pads with zeros, so it sees an edge where there is one. Through this view it sees beyond
each edge what a tiling shows there: the rows and columns at the opposite edge.
"""

from __future__ import annotations

from .formula import Formula
from .views import FORMULAS, View


def wrapped(margin: int) -> View:
    """The image with a margin of what lies at its opposite edges.

    Args:
        margin: In pixels, at least 1; no more than the shorter side of the image.
    """
    see, pull_back = Formula(FORMULAS, "see_wrapped"), Formula(FORMULAS, "pull_back_wrapped")
    return View("wrapped", see, pull_back, attributes=(("margin", margin),))
