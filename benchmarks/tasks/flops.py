"""Counts the arithmetic of a step: the products and convolutions of its linked graph.

A multiplication and its addition count as two operations, as is usual. The element-wise rest of a
step is left out: its time depends on memory, not on arithmetic. The count is that of the plain
formulas; an implementation that needs fewer operations (Winograd) counts the same.
"""

from __future__ import annotations

import math

import onnx
import onnx_ir as ir

from nstbatch.runtime.arrays import Shape


def operations(model: onnx.ModelProto) -> int:
    """Number of operations in the products and convolutions of a graph with static shapes."""
    graph = ir.from_proto(onnx.shape_inference.infer_shapes(model)).graph
    return sum(_operations(node) for node in graph if node.op_type in _MULTIPLICATIONS)


def _operations(node: ir.Node) -> int:
    first, second = (_shape(value) for value in node.inputs[:2])
    return 2 * _MULTIPLICATIONS[node.op_type](node, first, second, _shape(node.outputs[0]))


def _shape(value: ir.Value | None) -> Shape:
    if value is None or value.shape is None or not value.shape.is_static():
        raise ValueError(f"The shape of {value} is not known.")
    return tuple(int(size) for size in value.shape.numpy())


def _conv(node: ir.Node, image: Shape, filters: Shape, out: Shape) -> int:
    """Each output value reads a window of one group of channels: filters (M, C/g, ...)."""
    return math.prod(out) * math.prod(filters[1:])


def _conv_transpose(node: ir.Node, image: Shape, filters: Shape, out: Shape) -> int:
    """Each input value is spread over a window of one group: filters (C, M/g, ...)."""
    return math.prod(image) * math.prod(filters[1:])


def _mat_mul(node: ir.Node, left: Shape, right: Shape, out: Shape) -> int:
    return math.prod(out) * left[-1]


def _gemm(node: ir.Node, left: Shape, right: Shape, out: Shape) -> int:
    transposed = node.attributes.get_int("transA", 0)
    return math.prod(out) * left[0 if transposed else 1]


_MULTIPLICATIONS = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MatMul": _mat_mul,
    "Gemm": _gemm,
}
