"""Cuts the windows of pools to their input.

A pool that rounds its size up (``ceil_mode``) has a value also where its window is larger than all
of its input, as in the smallest octave of a dream. OpenVINO (2026.4) refuses to read such a graph.
"""

from __future__ import annotations

import onnx
import onnx_ir as ir

from .smallest_side import ints

POOLS = frozenset({"AveragePool", "MaxPool"})


def with_fitting_windows(model: onnx.ModelProto) -> onnx.ModelProto:
    """Make no window larger than the input of its pool.

    Pools with padding or dilation stay as they are; those of networks that round up have neither.

    Args:
        model: A graph of static shapes; it is not changed.

    Returns:
        A graph with the same inputs, outputs and results.
    """
    graph_model = ir.from_proto(model)
    for node in graph_model.graph:
        if node.op_type in POOLS:
            _fit(node)
    return ir.to_proto(graph_model)


def _fit(node: ir.Node) -> None:
    value = node.inputs[0]
    shape = None if value is None else value.shape
    if shape is None or not shape.is_static():
        return
    if any(ints(node, "pads", [])) or any(each > 1 for each in ints(node, "dilations", [])):
        return
    kernel = node.attributes["kernel_shape"].as_ints()
    sides = shape.numpy()[-len(kernel) :]
    fitting = [min(pair) for pair in zip(kernel, sides, strict=True)]
    node.attributes["kernel_shape"] = ir.AttrInt64s("kernel_shape", fitting)
