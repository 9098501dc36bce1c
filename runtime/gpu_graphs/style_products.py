"""The products of style losses, which formulas write as convolutions, as products again.

:func:`nstbatch.runtime.formulas.terms.carried_back` multiplies a matrix for each picture
with the activation, as a 1x1 convolution whose filters the graph computes, one group for each
picture. A processor is faster so. cuDNN may have no engine for the groups, and then ONNX Runtime
ends with "OP not supported".
"""

from __future__ import annotations

import onnx
import onnx_ir as ir
from onnx_ir.convenience import replace_nodes_and_values
from onnx_ir.tape import Tape

from nstbatch.runtime.graphs.broadcast_products import shape_of

from .half_precision import reached_from


def with_style_products(model: onnx.ModelProto, *, channels_last: bool) -> onnx.ModelProto:
    """Rewrite 1x1 convolutions with computed filters as products.

    Args:
        model: A graph of static shapes; it is not changed.
        channels_last: True to put the positions first, the layout of convolutions in half
            precision. The filters of a picture are then transposed in place.

    Returns:
        A graph with the same inputs and outputs, whose results differ by rounding.
    """
    graph_model = ir.from_proto(model)
    graph = graph_model.graph
    # The filters of a network are computed too, but from weights: cast, turned or flipped.
    varying = reached_from(graph.inputs, graph)
    for node in list(graph):
        if may_be_product(node) and node.inputs[1] in varying:
            _replace(graph, node, channels_last)
    return ir.to_proto(graph_model)


def may_be_product(node: ir.Node) -> bool:
    """True if a node convolves one stack of channels with 1x1 filters."""
    if node.op_type != "Conv" or len(node.inputs) != 2:
        return False
    activation, filters = (shape_of(value) for value in node.inputs)
    is_plain = not {"pads", "strides", "auto_pad", "dilations"} & set(node.attributes)
    return is_plain and activation[:1] == (1,) and filters[2:] == (1, 1)


def _replace(graph: ir.Graph, node: ir.Node, channels_last: bool) -> None:
    activation, filters = node.inputs
    _, stacked, height, width = shape_of(activation)
    channels = shape_of(filters)[1]
    pictures = stacked // channels
    stacker = None if activation is None else activation.producer()
    if stacker is not None and stacker.op_type == "Reshape":
        activation = stacker.inputs[0]  # of all pictures, as the network computes it
    tape = Tape()

    def reshape(value: ir.Value | None, *sizes: int) -> ir.Value:
        return tape.op("Reshape", [value, tape.op("Constant", [], {"value_ints": sizes})])

    matrices = reshape(filters, pictures, -1, channels)
    if channels_last:
        maps = reshape(activation, pictures, channels, height, width)
        rows = reshape(tape.op("Transpose", [maps], {"perm": [0, 2, 3, 1]}), pictures, -1, channels)
        turned = tape.op("Transpose", [matrices], {"perm": [0, 2, 1]})
        product = reshape(tape.op("MatMul", [rows, turned]), pictures, height, width, -1)
        product = tape.op("Transpose", [product], {"perm": [0, 3, 1, 2]})
    else:
        rows = reshape(activation, pictures, channels, -1)
        product = tape.op("MatMul", [matrices, rows])
    result = reshape(product, 1, -1, height, width)
    result.shape, result.type = node.outputs[0].shape, node.outputs[0].type
    replace_nodes_and_values(graph, node, [node], tape.nodes, node.outputs, [result])
