"""ReLU's derivative: the step function that is 0 up to zero and 1 above it.

The exporter writes it as a steep ``HardSigmoid``, which ONNX Runtime's CPU provider runs in the
layout of its convolutions. Other providers need another form:

* OpenVINO (2026.4) computes a ``HardSigmoid`` whose beta is 0 with ONNX's default of 0.5, so half
  of a cotangent passes where the activation is 0. It also runs it in float32 and in a layout of its
  own, which was 10 % of a step of VGG16 in bf16. It fuses a comparison with the product after it.
* float16 cannot represent so steep a slope: see :mod:`.half_precision`.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir

# A HardSigmoid of at least this slope counts as a step function.
STEEP = 1e30


def is_step(node: ir.Node) -> bool:
    """True if a node is the step function: 0 up to zero and 1 above it."""
    if node.op_type != "HardSigmoid" or {"alpha", "beta"} - set(node.attributes):
        return False
    attributes = node.attributes
    return attributes["alpha"].as_float() >= STEEP and attributes["beta"].as_float() == 0


def with_comparisons(model: onnx.ModelProto) -> onnx.ModelProto:
    """Rewrite step functions as comparisons with zero.

    Args:
        model: A graph in float32; it is not changed.

    Returns:
        A graph with the same inputs, outputs and results.
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
