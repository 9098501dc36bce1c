"""Pads pictures that are smaller than the window of a pooling node.

With ``ceil_mode``, the last window may hang over the edge, so a window of 3 fits a row of 2.
OpenVINO (2026.4) refuses a window that is larger than its whole input. It takes the same window if
the missing rows are padding, which neither a maximum nor a plain average counts.
"""

from __future__ import annotations

import onnx
import onnx_ir as ir

from .smallest_side import ints


def with_room_for_windows(model: onnx.ModelProto) -> onnx.ModelProto:
    """Pad the ends of inputs that are smaller than the window of their pooling.

    Args:
        model: A graph of static shapes; it is not changed.

    Returns:
        A graph with the same inputs, outputs and results.
    """
    graph_model = ir.from_proto(model)
    for node in graph_model.graph:
        if node.op_type == "MaxPool" or (node.op_type == "AveragePool" and not _counts_zeros(node)):
            _make_room(node)
    return ir.to_proto(graph_model)


def _counts_zeros(node: ir.Node) -> bool:
    """True if padding is a part of the average, so that more of it would change the result."""
    attribute = node.attributes.get("count_include_pad")
    return attribute is not None and attribute.as_int() != 0


def _make_room(node: ir.Node) -> None:
    value = node.inputs[0]
    if value is None or value.shape is None or not value.shape.is_static():
        return
    kernel = node.attributes["kernel_shape"].as_ints()
    axes = len(kernel)
    dilations = ints(node, "dilations", [1] * axes)
    pads = ints(node, "pads", [0] * (2 * axes))
    windows = [dilations[axis] * (kernel[axis] - 1) + 1 for axis in range(axes)]
    sides = [
        side + pads[axis] + pads[axis + axes]
        for axis, side in enumerate(value.shape.numpy()[-axes:])
    ]
    missing = [max(0, window - side) for window, side in zip(windows, sides, strict=True)]
    if any(missing):
        ends = [pad + more for pad, more in zip(pads[axes:], missing, strict=True)]
        node.attributes["pads"] = ir.AttrInt64s("pads", [*pads[:axes], *ends])
