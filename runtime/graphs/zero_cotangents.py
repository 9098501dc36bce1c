"""Removes the parts of a gradient graph that a zero cotangent makes superfluous.

A vector-Jacobian product is linear in its cotangents. So every value that depends on zero
cotangents alone is zero as well, and a sum with such a value is the other summand.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx_ir as ir

# Operators whose result is zero if their first input is zero and the other inputs are finite.
LINEAR_IN_FIRST = frozenset(
    {
        "AveragePool", "Cast", "DepthToSpace", "Div", "Expand", "Flatten", "Gather", "Identity",
        "Neg", "Pad", "ReduceMean", "ReduceSum", "Relu", "Reshape", "Resize", "Slice",
        "SpaceToDepth", "Squeeze", "Transpose", "Unsqueeze",
    }
)  # fmt: skip
# Zero if the first input is zero and no bias is added.
LINEAR_WITHOUT_BIAS = frozenset({"Conv", "ConvTranspose", "Gemm"})
BILINEAR = frozenset({"MatMul", "Mul"})


def propagate_zeros(graph: ir.Graph, zeros: Iterable[ir.Value]) -> set[ir.Value]:
    """Remove from the graph what zero inputs make superfluous.

    Zeros are dropped from sums. A zero that an operator needs beside non-zero values (in a
    ``Concat``, for example) becomes an explicit tensor of zeros. Nodes that are no longer read are
    left for a later pass.

    Args:
        graph: Topologically sorted up to the nodes that were appended while linking.
        zeros: Inputs of the graph that are zero.

    Returns:
        All values that are zero.
    """
    known = set(zeros)
    for node in list(graph):
        if not any(value in known for value in node.inputs):
            continue
        if _is_zero(node, known):
            known.update(node.outputs)
        elif node.op_type in ("Add", "Sum"):
            _bypass(node, known)
        else:
            _write_out(graph, node, known)
    return known


def _is_zero(node: ir.Node, known: set[ir.Value]) -> bool:
    zero = [_is_known_zero(value, known) for value in node.inputs]
    match node.op_type:
        case kind if kind in LINEAR_IN_FIRST:
            return zero[0]
        case kind if kind in LINEAR_WITHOUT_BIAS:
            return zero[0] and (len(zero) < 3 or zero[2])
        case kind if kind in BILINEAR:
            return any(zero)
        case "Where":
            return zero[1] and zero[2]
        case "Add" | "Concat" | "Sub" | "Sum":
            return all(zero)
        case _:
            return False


def _is_known_zero(value: ir.Value | None, known: set[ir.Value]) -> bool:
    if value is None or value in known:
        return True
    constant = value.const_value
    return constant is not None and constant.size == 1 and not np.any(constant.numpy())


def _bypass(node: ir.Node, known: set[ir.Value]) -> None:
    """Drop the zeros from a sum; this is safe since the summands of a cotangent share one shape."""
    rest = [value for value in node.inputs if value not in known]
    if len(rest) == 1 and rest[0] is not None:
        node.outputs[0].replace_all_uses_with(rest[0], replace_graph_outputs=True)
    else:
        for index, value in enumerate(rest):
            node.replace_input_with(index, value)
        node.resize_inputs(len(rest))


def _write_out(graph: ir.Graph, node: ir.Node, known: set[ir.Value]) -> None:
    """Replace a node's known zeros with explicit tensors of zeros of the same shape."""
    for index, value in enumerate(node.inputs):
        if value is not None and value in known:
            shape = ir.node("Shape", [value])
            number = np.zeros(1, (value.dtype or ir.DataType.FLOAT).numpy())
            zeros = ir.node("ConstantOfShape", shape.outputs, {"value": ir.tensor(number)})
            graph.insert_before(node, (shape, zeros))
            node.replace_input_with(index, zeros.outputs[0])
