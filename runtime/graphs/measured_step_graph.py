"""Builds the step graph of a network at one size, for measuring and not for running."""

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
    """The graph that evaluates an objective and its gradient once, as a session receives it.

    Args:
        gradient_graph: The gradient graph of a bundle.
        terms: The terms of the objective.
        image_shape: (N, 3, H, W).
        target_shapes: The shapes of the targets, by their input names ``target/<term>``.
    """
    pictures = image_shape[0]
    shapes = {IMAGE: image_shape, **target_shapes}
    shapes |= {WEIGHT + term.name: (pictures,) for term in terms}
    return specialise(link(gradient_graph, terms, pictures), shapes)
