"""The smallest picture that a network accepts.

ONNX Runtime does not refuse a picture that is smaller than a filter. It may divide by zero, which
ends the process and the whole batch with it (seen with onnxruntime 1.32 and a layer of no rows).
"""

from __future__ import annotations

from collections.abc import Collection

import onnx
import onnx_ir as ir

WINDOWED = frozenset({"AveragePool", "Conv", "MaxPool"})


def smallest_side(forward_graph: onnx.ModelProto, layers: Collection[str]) -> int:
    """Smallest picture side, in pixels, for which each of the layers has at least one value.

    It is computed backwards from the layers to the image: n values in a row of a window of k values
    with stride s need (n - 1) s + k values in a row of its input.

    Args:
        forward_graph: As the exporter writes it.
        layers: Names of outputs of the graph.
    """
    graph = ir.from_proto(forward_graph).graph
    needed = {value: 1 for value in graph.outputs if value.name in layers}
    for node in reversed(graph):
        side = max(needed.get(value, 0) for value in node.outputs)
        if side and node.op_type in WINDOWED:
            side = _side_before(node, side)
        for value in node.inputs:
            if value is not None:
                needed[value] = max(needed.get(value, 0), side)
    return max(needed.get(value, 0) for value in graph.inputs)


def _side_before(node: ir.Node, side: int) -> int:
    """Values in a row of a node's input, without padding, that ``side`` positions need."""
    kernel = node.attributes["kernel_shape"].as_ints()
    axes = len(kernel)
    strides = ints(node, "strides", [1] * axes)
    dilations = ints(node, "dilations", [1] * axes)
    pads = ints(node, "pads", [0] * (2 * axes))
    rounded_up = "ceil_mode" in node.attributes and node.attributes["ceil_mode"].as_int() == 1
    return max(
        1,
        *(
            (side - 1) * strides[axis]
            + dilations[axis] * (kernel[axis] - 1)
            + 1
            - (pads[axis] + pads[axis + axes])
            - (strides[axis] - 1 if rounded_up else 0)  # the last window may hang over the edge
            for axis in range(axes)
        ),
    )


def ints(node: ir.Node, name: str, default: list[int]) -> list[int]:
    """A node's attribute as a list; ``default`` if it is absent."""
    return list(node.attributes[name].as_ints()) if name in node.attributes else default
