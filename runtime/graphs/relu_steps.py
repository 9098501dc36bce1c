"""ReLU's derivative: the step function that is 0 up to zero and 1 above it.

The exporter writes it as a steep ``HardSigmoid``, which ONNX Runtime's CPU provider runs in the
layout of its convolutions. Other providers need another form:

* OpenVINO (2026.4) computes a ``HardSigmoid`` whose beta is 0 with ONNX's default of 0.5, so half
  of a cotangent passes where the activation is 0. It also runs it in float32 and in a layout of its
  own, which was 10 % of a step of VGG16 in bf16. It fuses a comparison with the product after it.
* float16 cannot represent so steep a slope, so half precision writes the mask of a ReLU as
  ``Sign`` of its output, and multiplies a cotangent by it. On a GPU a condition is better: it takes
  one byte a value instead of two.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.convenience import replace_nodes_and_values
from onnx_ir.tape import Tape

from .broadcast_products import shape_of

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


def with_conditions(model: onnx.ModelProto) -> onnx.ModelProto:
    """Rewrite products with the sign of a ReLU's output as ``Where``.

    Args:
        model: A graph of static shapes; it is not changed.

    Returns:
        A graph with the same inputs and outputs, and the same results where cotangents are finite.
    """
    graph_model = ir.from_proto(model)
    graph = graph_model.graph
    for node in list(graph):
        if node.op_type == "Mul":
            masks = [index for index, value in enumerate(node.inputs) if is_mask(value)]
            same = shape_of(node.inputs[0]) == shape_of(node.inputs[1]) != ()
            if len(masks) == 1 and same:
                _replace_mask(graph, node, masks[0])
    ir.passes.common.RemoveUnusedNodesPass()(graph_model)
    return ir.to_proto(graph_model)


def is_mask(value: ir.Value | None) -> bool:
    """True if a value is the sign of a ReLU's output: 0 or 1."""
    sign = None if value is None else value.producer()
    if sign is None or sign.op_type != "Sign" or sign.inputs[0] is None:
        return False
    relu = sign.inputs[0].producer()
    return relu is not None and relu.op_type == "Relu"


def _replace_mask(graph: ir.Graph, node: ir.Node, mask: int) -> None:
    sign, cotangent = node.inputs[mask], node.inputs[1 - mask]
    assert sign is not None
    maker, kind = sign.producer(), node.outputs[0].dtype
    assert maker is not None
    assert kind is not None
    tape = Tape()
    condition = tape.op("Cast", [maker.inputs[0]], {"to": ir.DataType.BOOL})
    zero = tape.op("Constant", [], {"value": ir.tensor(np.zeros((), kind.numpy()))})
    result = tape.op("Where", [condition, cotangent, zero])
    result.shape, result.type = node.outputs[0].shape, node.outputs[0].type
    replace_nodes_and_values(graph, node, [node], tape.nodes, node.outputs, [result])
