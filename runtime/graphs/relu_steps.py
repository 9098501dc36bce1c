"""ReLU's derivative, the step function that is 0 up to zero and 1 above it.

The exporter writes it as a steep ``HardSigmoid``, which ONNX Runtime's CPU provider runs in the
layout of its convolutions. Others are better off with another form of it:

* OpenVINO (2026.4) computes a ``HardSigmoid`` whose beta is 0 with ONNX's default of 0.5, so that
  half of a cotangent passes where the activation is 0, and runs it in float32 and a layout of its
  own, which was 10 % of a step of VGG16 in bf16. A comparison joins the product that follows it.
* float16 has no number for such a slope: see :mod:`.half_precision`.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir

# A HardSigmoid from this slope on is a step function.
STEEP = 1e30


def is_step(node: ir.Node) -> bool:
    """Whether a node is 0 up to zero and 1 above it."""
    if node.op_type != "HardSigmoid" or {"alpha", "beta"} - set(node.attributes):
        return False
    attributes = node.attributes
    return attributes["alpha"].as_float() >= STEEP and attributes["beta"].as_float() == 0


def with_comparisons(model: onnx.ModelProto) -> onnx.ModelProto:
    """Write step functions as comparisons with zero.

    Args:
        model: A graph in float32; it is left as it is.

    Returns:
        A graph of the same inputs, outputs and results.
    """
    graph_model = ir.from_proto(model)
    graph = graph_model.graph
    for node in list(graph):
        if is_step(node):
            _replace(graph, node)
    return ir.to_proto(graph_model)


def _replace(graph: ir.Graph, step: ir.Node) -> None:
    zero = ir.node("Constant", [], {"value": ir.tensor(np.float32(0))})
    is_on = ir.node("Greater", [step.inputs[0], *zero.outputs])
    number = ir.node("Cast", is_on.outputs, {"to": ir.DataType.FLOAT})
    ir.convenience.replace_nodes_and_values(
        graph, step, [step], [zero, is_on, number], step.outputs, number.outputs
    )
