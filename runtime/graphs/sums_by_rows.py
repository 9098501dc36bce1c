"""Sums over whole maps, taken row by row.

ONNX Runtime's CPU provider adds the values of a sum over several axes one after the other in
float32. Over a million values, such as the differences of a map of content, that was off by 1e-4,
and a scaled squared error has the same error in its gradient. Sums of rows, and then the sum of
those, keep two digits more.
"""

from __future__ import annotations

import onnx
import onnx_ir as ir
from onnx_ir.tape import Tape

from .broadcast_products import shape_of

_KINDS = ("ReduceSum", "ReduceMean")


def with_sums_by_rows(model: onnx.ModelProto) -> onnx.ModelProto:
    """Reduce the last axis first, in sums and means over it and others.

    Args:
        model: A graph of static shapes, in which the axes are constants; other sums stay. It is not
            changed.

    Returns:
        A graph with the same inputs and outputs, whose results differ by rounding.
    """
    graph_model = ir.from_proto(model)
    for node in list(graph_model.graph):
        if node.op_type in _KINDS and len(node.inputs) == 2:
            _split(graph_model.graph, node)
    return ir.to_proto(graph_model)


def _split(graph: ir.Graph, node: ir.Node) -> None:
    values, given = node.inputs
    axes = None if given is None else ir.convenience.get_const_tensor(given)
    rank = len(shape_of(values))
    if axes is None or not rank:
        return
    along = sorted(int(axis) % rank for axis in axes.numpy())
    if len(along) < 2 or along[-1] != rank - 1:
        return
    keeps = node.attributes.get("keepdims")
    kept = {"keepdims": 1 if keeps is None else keeps.as_int()}
    tape = Tape()
    last, others = (
        tape.op("Constant", [], {"value_ints": each}) for each in ([rank - 1], along[:-1])
    )
    rows = tape.op(node.op_type, [values, last], kept)
    whole = tape.op(node.op_type, [rows, others], kept)
    ir.convenience.replace_nodes_and_values(
        graph, node, [node], list(tape.nodes), [node.outputs[0]], [whole]
    )
