"""The weights and activations that the layers of a network need, counted from its forward graph."""

from __future__ import annotations

import math
from collections.abc import Collection

import onnx
import onnx_ir as ir

from nstbatch.runtime.names import IMAGE

from .live_bytes import ALIASES, IN_PLACE
from .specialise import specialise

# Pixels; the counts for a pixel hardly depend on it.
SIDE = 256


def network_load(
    forward: onnx.ModelProto, layers: Collection[str], least: int = 1
) -> dict[str, tuple[int, float]]:
    """Return the weights a layer needs, and the activations up to it for each pixel of a picture.

    Activations that overwrite others do not count (:mod:`.live_bytes`).

    Args:
        forward: The forward graph.
        layers: Names of layers.
        least: Smallest side of a picture, in pixels, that the layers accept.
    """
    side = max(SIDE, least)
    shaped = onnx.shape_inference.infer_shapes(specialise(forward, {IMAGE: (1, 3, side, side)}))
    graph = ir.from_proto(shaped).graph
    before: dict[ir.Value, frozenset[ir.Value]] = {}
    for node in graph:
        reached = frozenset(value for value in node.inputs if value is not None)
        reached = reached.union(*(before.get(value, frozenset()) for value in reached))
        for output in node.outputs:
            before[output] = reached | {output}
    weights, image = set(graph.initializers.values()), graph.inputs[0]
    pixels = side * side
    found = {}
    names = (value.name for value in forward.graph.output)  # folding may have renamed them
    for name, value in zip(names, graph.outputs, strict=True):
        needed = before.get(value, frozenset())
        # Values that do not depend on the image are weights in another form.
        values = (v for v in needed if image in before.get(v, ()) and _has_own_memory(v))
        found[name] = (
            sum(_elements(each) for each in needed & weights),
            sum(map(_elements, values)) / pixels,
        )
    return {layer: found[layer] for layer in layers}


def _has_own_memory(value: ir.Value) -> bool:
    node = value.producer()
    return node is not None and node.op_type not in ALIASES | IN_PLACE


def _elements(value: ir.Value) -> int:
    if value.shape is None or not value.shape.is_static():
        return 0
    return math.prod(value.shape.numpy())
