"""The step graph of a network at one size, as a session is handed it: to be counted, not run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx

from nstbatch.runtime.names import IMAGE, WEIGHT
from nstbatch.runtime.objectives.terms import Term

from .link import link
from .specialise import specialise


def step_graph(
    gradient_graph: onnx.ModelProto,
    terms: Sequence[Term],
    image_shape: tuple[int, ...],
    target_shapes: Mapping[str, tuple[int, ...]],
) -> onnx.ModelProto:
    """One evaluation of an objective and its gradient.

    Args:
        gradient_graph: A bundle's.
        terms: Of the objective.
        image_shape: (N, 3, H, W).
        target_shapes: By ``target/<term>``.
    """
    pictures = image_shape[0]
    shapes = {IMAGE: image_shape, **target_shapes}
    shapes |= {WEIGHT + term.name: (pictures,) for term in terms}
    return specialise(link(gradient_graph, terms, pictures), shapes)
