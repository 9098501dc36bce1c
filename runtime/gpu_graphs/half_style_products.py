"""Style losses whose cotangents are computed in half precision, and never as maps in float32.

In half precision (:mod:`.half_precision`) a style loss returns a cotangent in float32, S F for a
matrix S for each picture and the activation F. Of that map the graph takes the largest value,
multiplies it, and casts it to float16. Five passes over each style layer in float32 are most of the
bytes that a step of a GPU moves. Here the matrix is multiplied and cast instead, and the product is
that of two float16 operands.

The largest value is then not known. But the sum of all squares is, from the Gram matrix
G = F F^T / n of n elements: |S F|^2 = n <S G, S>, and no value is larger than its root. It is far
larger than the largest value of any real map, so :data:`ROOM` of it is left for that.

The scaled matrix must not overflow float16 either, where F is almost zero: see :data:`SMALLEST`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.tape import Tape

from nstbatch.runtime.graphs.broadcast_products import shape_of

from .style_products import may_be_product

# The root of the sum of all squares is divided by it, and taken for the largest value. So the
# largest scaled cotangent is at most 512: it may grow 113-fold, as decision 0014 saw, before it
# overflows. In a map of 64 channels and 512x512 pixels with a largest value 50 times the root mean
# square, it is 6, about LARGEST_COTANGENT. docs/decisions/0031-fewer-passes-over-maps.md
ROOM = 64.0
# An activation that is zero everywhere counts as a map with this root of the sum of its squares, in
# scaled float16 values. So no value of a scaled matrix exceeds LARGEST_COTANGENT ROOM / SMALLEST,
# which is 2^14.
SMALLEST = 2.0**-5


def with_half_style_products(model: onnx.ModelProto) -> onnx.ModelProto:
    """Rewrite the cotangents of style losses in a step graph in half precision.

    A layer that has other losses as well stays as it is.

    Args:
        model: A step graph of static shapes in half precision; it is not changed.

    Returns:
        A graph with the same inputs and outputs, whose results differ by rounding in float16.
    """
    graph_model = ir.from_proto(model)
    graph = graph_model.graph
    found = [product for node in graph if (product := _StyleProduct.of(node)) is not None]
    for maximum in {product.maximum for product in found}:
        products = [product for product in found if product.maximum is maximum]
        _put_roots(graph, maximum, products)
    for product in found:
        product.replace(graph)
    graph.sort()
    ir.passes.common.RemoveUnusedNodesPass()(graph_model)
    return ir.to_proto(graph_model)


@dataclass(frozen=True)
class _StyleProduct:
    """The cotangent of a style loss and what is computed from it.

    Attributes:
        matrices: S, (N, C, C).
        gram: The Gram matrices of the activation, (N, C, C).
        half: The activation in float16, (N, C, H, W), scaled.
        scale: The activation in float32 is the one in float16 times this.
        largest: The largest value of each picture's cotangent, (N,).
        maximum: The node that takes the largest of all layers.
        up: The factor of each picture's cotangents, (N, 1, 1, 1).
        cotangent: The cotangent in float16, multiplied by it.
    """

    matrices: ir.Value
    gram: ir.Value
    half: ir.Value
    scale: float
    largest: ir.Value
    maximum: ir.Node
    up: ir.Value
    cotangent: ir.Value

    @classmethod
    def of(cls, node: ir.Node) -> _StyleProduct | None:
        """Recognise a product by its convolution; None if the node is none."""
        filters = may_be_product(node) and _maker(node.inputs[1], "Reshape")
        activation = _before_reshape(node.inputs[0]) if filters else None
        if not filters or activation is None:
            return None
        half, scale = _scaled(activation)
        gram = _gram_of(activation)
        product = _behind_reshape(node.outputs[0])
        readers = {reader.op_type: reader for reader, _ in product.uses()}
        if half is None or gram is None or readers.keys() != {"Abs", "Mul"}:
            return None
        largest = _only_reader(readers["Abs"], "ReduceMax")
        maximum = largest and _only_reader(largest, "Max")
        cast = _only_reader(readers["Mul"], "Cast")
        matrices, up = filters.inputs[0], readers["Mul"].inputs[1]
        if not (largest and maximum and cast and matrices and up):
            return None
        found = (matrices, gram, half, scale, largest.outputs[0], maximum, up, cast.outputs[0])
        return cls(*found)

    def squares(self, tape: Tape) -> ir.Value:
        """The sum of all squares of each picture's cotangent, over ROOM squared: (N,)."""
        pictures, channels, height, width = shape_of(self.half)
        elements = channels * height * width
        least = (SMALLEST * self.scale) ** 2 / elements * np.eye(channels, dtype=np.float32)
        gram = tape.op("Add", [self.gram, _constant(tape, least.astype(np.float32))])
        product = tape.op("MatMul", [self.matrices, gram])
        rows = _reshape(tape, product, pictures, 1, -1)
        columns = _reshape(tape, self.matrices, pictures, -1, 1)
        factor = _constant(tape, np.float32(elements / ROOM**2))
        squares = tape.op("Mul", [tape.op("MatMul", [rows, columns]), factor])
        return _reshape(tape, squares, pictures)

    def replace(self, graph: ir.Graph) -> None:
        """Put the product of float16 operands in the place of the cotangent."""
        pictures, channels, height, width = shape_of(self.half)
        tape = Tape()
        factor = _reshape(tape, self.up, pictures, 1, 1)
        if self.scale != 1:
            factor = tape.op("Mul", [factor, _constant(tape, np.float32(self.scale))])
        scaled = tape.op("Mul", [self.matrices, factor])
        matrices = tape.op("Cast", [scaled], {"to": ir.DataType.FLOAT16})
        rows = tape.op("Transpose", [self.half], {"perm": [0, 2, 3, 1]})
        rows = _reshape(tape, rows, pictures, height * width, channels)
        product = tape.op("MatMul", [rows, matrices])  # they are symmetric
        product = _reshape(tape, product, pictures, height, width, channels)
        result = tape.op("Transpose", [product], {"perm": [0, 3, 1, 2]})
        result.shape, result.type = self.cotangent.shape, self.cotangent.type
        graph.extend(tape.nodes)
        self.cotangent.replace_all_uses_with(result)


def _put_roots(graph: ir.Graph, maximum: ir.Node, products: Sequence[_StyleProduct]) -> None:
    """Put the root of the largest sum in the place of the largest values of maps."""
    tape = Tape()
    squares = [product.squares(tape) for product in products]
    # By rounding, a sum that is almost zero may be negative.
    root = tape.op("Sqrt", [tape.op("Abs", [tape.op("Max", squares)])])
    graph.extend(tape.nodes)
    replaced = {product.largest for product in products}
    values = [root, *(value for value in maximum.inputs if value not in replaced)]
    maximum.resize_inputs(len(values))
    for index, value in enumerate(values):
        maximum.replace_input_with(index, value)


# --- Recognising ------------------------------------------------------------------------------


def _maker(value: ir.Value | None, operator: str) -> ir.Node | None:
    """The node that computes a value, if it has this operator."""
    node = None if value is None else value.producer()
    return node if node is not None and node.op_type == operator else None


def _only_reader(node: ir.Node, operator: str) -> ir.Node | None:
    """The node that reads another's output, if it is the only one and has this operator."""
    readers = [reader for reader, _ in node.outputs[0].uses()]
    return readers[0] if len(readers) == 1 and readers[0].op_type == operator else None


def _before_reshape(value: ir.Value | None) -> ir.Value | None:
    reshape = _maker(value, "Reshape")
    return value if reshape is None else reshape.inputs[0]


def _behind_reshape(value: ir.Value) -> ir.Value:
    readers = [reader for reader, _ in value.uses()]
    is_reshaped = len(readers) == 1 and readers[0].op_type == "Reshape"
    return readers[0].outputs[0] if is_reshaped else value


def _scaled(activation: ir.Value) -> tuple[ir.Value | None, float]:
    """The activation in float16, and the factor that makes the one in float32 of it."""
    scale, factor = 1.0, _maker(activation, "Mul")
    if factor is not None:
        number = ir.convenience.get_const_tensor(factor.inputs[1]) if factor.inputs[1] else None
        if number is None or number.size != 1:
            return None, scale
        scale, activation = float(number.numpy().item()), factor.inputs[0] or activation
    cast = _maker(activation, "Cast")
    half = None if cast is None else cast.inputs[0]
    is_half = half is not None and half.dtype is ir.DataType.FLOAT16
    return (half, scale) if is_half else (None, scale)


def _gram_of(activation: ir.Value) -> ir.Value | None:
    """The Gram matrix of an activation, if the graph has it.

    See :func:`nstbatch.runtime.formulas.terms.gram_matrix`.
    """
    for rows, _ in activation.uses():
        features = _only_reader(rows, "Div") if rows.op_type == "Reshape" else None
        for turned, _ in () if features is None else features.outputs[0].uses():
            product = _only_reader(turned, "MatMul") if turned.op_type == "Transpose" else None
            if features and product and product.inputs[0] is features.outputs[0]:
                return product.outputs[0]
    return None


def _constant(tape: Tape, values: NDArray[Any] | np.float32) -> ir.Value:
    return tape.op("Constant", [], {"value": ir.tensor(values)})


def _reshape(tape: Tape, value: ir.Value, *sizes: int) -> ir.Value:
    return tape.op("Reshape", [value, tape.op("Constant", [], {"value_ints": sizes})])
