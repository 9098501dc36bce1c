"""Moves zero padding from the input of a transposed convolution to its output.

The gradient of a strided convolution pads its cotangent with a row of zeros to make room for the
rows that the stride skipped. OpenVINO (2025.4 and 2026.4) merges those zeros into the pads of the
convolution one for one, ignoring the stride (``PadFusionConvolutionBackpropData``). Most sizes of
AlexNet then fail to open, since values that are added later differ in shape.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes import common as passes


def with_padded_outputs(model: onnx.ModelProto) -> onnx.ModelProto:
    """Pad the outputs of transposed convolutions instead of their inputs.

    Only the padding of gradients moves: zeros at the ends of height and width. All other padding
    stays as it is.

    Args:
        model: A graph of static shapes; it is not changed.

    Returns:
        A graph with the same inputs, outputs and results.
    """
    graph_model = ir.from_proto(model)
    graph = graph_model.graph
    for node in list(graph):
        if _is_plain(node):
            padded = node.inputs[0]
            pad = None if padded is None else padded.producer()
            ends = None if pad is None else _zeros_at_the_ends(pad)
            if pad is not None and ends is not None:
                _exchange(graph, pad, node, ends)
    passes.RemoveUnusedNodesPass()(graph_model)
    return ir.to_proto(graph_model)


def _is_plain(node: ir.Node) -> bool:
    """True if a node is a 2D transposed convolution without bias, as gradients have them."""
    return (
        node.op_type == "ConvTranspose"
        and len(node.inputs) == 2
        and {"pads", "strides"} <= set(node.attributes)
        and len(node.attributes["strides"].as_ints()) == 2
        and "output_shape" not in node.attributes
        and not node.outputs[0].is_graph_output()
    )


def _zeros_at_the_ends(pad: ir.Node) -> NDArray[np.int64] | None:
    """Zeros that a node pads at the ends of height and width, (2,); None for any other node."""
    mode = pad.attributes.get("mode")
    if pad.op_type != "Pad" or (mode is not None and mode.as_string() != "constant"):
        return None
    amounts, value, axes = ([*pad.inputs[1:], None, None])[:3]
    given = None if amounts is None else ir.convenience.get_const_tensor(amounts)
    if given is None or given.size != 8 or axes is not None:
        return None
    if value is not None:
        constant = ir.convenience.get_const_tensor(value)
        if constant is None or constant.numpy().any():
            return None
    *others, bottom, right = given.numpy().tolist()
    return None if any(others) or min(bottom, right) < 0 else np.array([bottom, right])


def _exchange(graph: ir.Graph, pad: ir.Node, convolution: ir.Node, ends: NDArray[np.int64]) -> None:
    """Pad the output of a convolution, not its input.

    A row of zeros in the input is ``stride`` rows of the output: first the rows that the pads of
    the convolution cut off, then rows of zeros beyond the reach of its filters.
    """
    top, left, *cut = convolution.attributes["pads"].as_ints()
    rows = ends * convolution.attributes["strides"].as_ints()
    uncut = np.minimum(rows, cut)
    pads = [top, left, *(cut - uncut).tolist()]
    convolution.replace_input_with(0, pad.inputs[0])
    convolution.attributes["pads"] = ir.AttrInt64s("pads", pads)

    result = convolution.outputs[0]
    users = result.uses()
    size = ir.node("Constant", [], {"value": ir.tensor([0] * 6 + (rows - uncut).tolist())})
    padded = ir.node("Pad", [result, *size.outputs])
    graph.insert_after(convolution, [size, padded])
    for user, index in users:
        user.replace_input_with(index, padded.outputs[0])
    padded.outputs[0].type = result.type
    padded.outputs[0].shape, result.shape = result.shape, None
