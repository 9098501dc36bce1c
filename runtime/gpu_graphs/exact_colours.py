"""Mixtures of colours without products of matrices, for devices that would round them.

A network's preprocessing, and the colours of a picture that is stored as a spectrum, are 1x1
convolutions of three channels. In half precision CUDA's provider may use TF32 for the convolutions
that stay in float32, which keeps 10 bits of the mantissa; its sums and elementwise products are
exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.convenience import replace_nodes_and_values
from onnx_ir.tape import Tape

from nstbatch.runtime.graphs.smallest_side import ints

COLOURS = 3
AS_COLUMN = np.array([1, COLOURS, 1, 1])


def with_exact_colours(model: onnx.ModelProto) -> onnx.ModelProto:
    """Rewrite 1x1 convolutions from three channels to three as elementwise products and sums.

    Args:
        model: A graph of static shapes; it is not changed.

    Returns:
        A graph with the same inputs and outputs, whose results differ by rounding.
    """
    graph_model = ir.from_proto(model)
    for node in list(graph_model.graph):
        if is_mixture(node):
            _replace(graph_model.graph, node)
    return ir.to_proto(graph_model)


def is_mixture(node: ir.Node) -> bool:
    """True if a node convolves three channels with three 1x1 filters, in float32."""
    if node.op_type != "Conv":
        return False
    colours, filters = node.inputs[:2]
    if colours is None or filters is None or filters.shape != (COLOURS, COLOURS, 1, 1):
        return False
    usual = (("pads", 0), ("strides", 1), ("dilations", 1))
    is_plain = all(set(ints(node, name, [number])) == {number} for name, number in usual)
    return is_plain and colours.dtype is ir.DataType.FLOAT


def _replace(graph: ir.Graph, node: ir.Node) -> None:
    colours, filters, bias = (*node.inputs, None)[:3]
    assert filters is not None
    tape = Tape()

    def constant(values: NDArray[Any]) -> ir.Value:
        return tape.op("Constant", [], {"value": ir.tensor(values)})

    weights = ir.convenience.get_const_tensor(filters)
    matrix = None if weights is None else weights.numpy().reshape(COLOURS, COLOURS)
    if matrix is not None and (np.count_nonzero(matrix, axis=1) == 1).all():
        sources = np.abs(matrix).argmax(axis=1)
        if (sources != np.arange(COLOURS)).any():
            colours = tape.op("Gather", [colours, constant(sources)], {"axis": 1})
        factors = matrix[np.arange(COLOURS), sources].reshape(1, COLOURS, 1, 1)
        result = tape.op("Mul", [colours, constant(factors)])
    else:
        columns = tape.op("Transpose", [filters], {"perm": [1, 0, 2, 3]})  # (in, out, 1, 1)
        parts = zip(_parts(tape, colours, axis=1), _parts(tape, columns, axis=0), strict=True)
        result = tape.op("Sum", [tape.op("Mul", pair) for pair in parts])
    if bias is not None:
        result = tape.op("Add", [result, tape.op("Reshape", [bias, constant(AS_COLUMN)])])
    result.shape, result.type = node.outputs[0].shape, node.outputs[0].type
    replace_nodes_and_values(graph, node, [node], tape.nodes, node.outputs, [result])


def _parts(tape: Tape, value: ir.Value | None, axis: int) -> Sequence[ir.Value]:
    """The three parts of a value along an axis."""
    attributes = {"axis": axis, "num_outputs": COLOURS}
    return tape.op_multi_out("Split", [value], attributes, num_outputs=COLOURS)
