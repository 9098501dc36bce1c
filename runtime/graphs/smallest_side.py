"""How small a picture may be: what a network's windows need to give one value.

ONNX Runtime does not refuse a picture that is smaller than a filter. It has been seen to divide by
zero then, which ends the process and a whole batch with it (onnxruntime 1.32, a layer of no rows).
"""

from __future__ import annotations

from collections.abc import Collection

import onnx
import onnx_ir as ir

WINDOWED = frozenset({"AveragePool", "Conv", "MaxPool"})


def smallest_side(forward_graph: onnx.ModelProto, layers: Collection[str]) -> int:
    """Shortest side of a picture, in pixels, for which each of the layers has a value.

    Goes back from the layers to the image: n values in a row are seen through a window of k every
    s by (n - 1) s + k values.

    Args:
        forward_graph: As the exporter writes it.
        layers: Names of outputs of the graph.
    """
    graph = ir.from_proto(forward_graph).graph
    needed = {value: 1 for value in graph.outputs if value.name in layers}
    for node in reversed(graph):
        side = max(needed.get(value, 0) for value in node.outputs)
        if side and node.op_type in WINDOWED:
            side = _seen_by(node, side)
        for value in node.inputs:
            if value is not None:
                needed[value] = max(needed.get(value, 0), side)
    return max(needed.get(value, 0) for value in graph.inputs)


def _seen_by(node: ir.Node, side: int) -> int:
    """Values in a row, of those without padding, that a window needs for ``side`` positions."""
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
    """An attribute of a node, or what stands for it where it is left out."""
    return list(node.attributes[name].as_ints()) if name in node.attributes else default
