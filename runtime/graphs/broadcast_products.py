"""Products whose left operand is one matrix for many right ones, as one large product.

CUDA's provider multiplies such operands by a list of pointers, which it writes into memory of its
own. ONNX Runtime 1.28 and 1.29 use that memory again after a CUDA graph was recorded, so each
replay reads something else (microsoft/onnxruntime#32121). Later ones keep it, but one large product
is also faster than many small ones.
"""

from __future__ import annotations

import math

import onnx
import onnx_ir as ir
from onnx_ir.convenience import replace_nodes_and_values
from onnx_ir.tape import Tape


def with_single_products(model: onnx.ModelProto) -> onnx.ModelProto:
    """Rewrite (M, K) times (..., K, N) as (M, K) times (K, ... N).

    Args:
        model: A graph of static shapes; it is not changed.

    Returns:
        A graph with the same inputs and outputs, whose results differ by rounding.
    """
    graph_model = ir.from_proto(model)
    for node in list(graph_model.graph):
        if node.op_type == "MatMul" and repeats_left(node):
            _replace(graph_model.graph, node)
    return ir.to_proto(graph_model)


def repeats_left(node: ir.Node) -> bool:
    """True if a product repeats its left operand, a single matrix, for the right ones.

    There may be a single right one too: the provider goes by the number of axes.
    """
    left, right = (shape_of(value) for value in node.inputs)
    is_single = 2 <= len(left) <= len(right) and math.prod(left[:-2]) == 1
    return is_single and left[:-2] != right[:-2]


def _replace(graph: ir.Graph, node: ir.Node) -> None:
    left, right = (shape_of(value) for value in node.inputs)
    *many, inner, columns = right
    rank, rows = len(right), left[-2]
    tape = Tape()

    def reshape(value: ir.Value | None, *sizes: int) -> ir.Value:
        return tape.op("Reshape", [value, tape.op("Constant", [], {"value_ints": sizes})])

    moved = node.inputs[1]
    is_one = math.prod(many) == 1
    if not is_one:
        moved = tape.op("Transpose", [moved], {"perm": [rank - 2, *range(rank - 2), rank - 1]})
    product = tape.op("MatMul", [reshape(node.inputs[0], rows, inner), reshape(moved, inner, -1)])
    if is_one:
        result = reshape(product, *many, rows, columns)
    else:
        parted = reshape(product, rows, *many, columns)
        result = tape.op("Transpose", [parted], {"perm": [*range(1, rank - 1), 0, rank - 1]})
    result.shape, result.type = ir.Shape((*many, rows, columns)), node.outputs[0].type
    replace_nodes_and_values(graph, node, [node], tape.nodes, node.outputs, [result])


def shape_of(value: ir.Value | None) -> tuple[int, ...]:
    """The shape of a value; () if it is not known."""
    if value is None or value.shape is None or not value.shape.is_static():
        return ()
    return tuple(value.shape.numpy())
