"""Zeros that lie before a transposed convolution, moved behind it.

The gradient of a strided convolution gives its cotangent a row of zeros more, which makes room for
the rows that the stride forgot. OpenVINO (2025.4 and 2026.4) takes those zeros into the pads of the
convolution, one for one whatever the stride (``PadFusionConvolutionBackpropData``), and most sizes
of AlexNet do not open then, since what is added up later is of different shapes.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.passes import common as passes


def with_padding_behind(model: onnx.ModelProto) -> onnx.ModelProto:
    """Let transposed convolutions begin with what is there, and end in zeros instead.

    Args:
        model: A graph of static shapes; it is left as it is.

    Returns:
        A graph of the same inputs, outputs and results.
    """
    graph_model = ir.from_proto(model)
    graph = graph_model.graph
    for node in list(graph):
        if node.op_type == "ConvTranspose" and len(node.inputs) == 2:  # it adds no bias
            padded = node.inputs[0]
            pad = None if padded is None else padded.producer()
            if pad is not None and pad.op_type == "Pad":
                _move_behind(graph, pad, node)
    passes.RemoveUnusedNodesPass()(graph_model)
    return ir.to_proto(graph_model)


def _move_behind(graph: ir.Graph, pad: ir.Node, convolution: ir.Node) -> None:
    """Exchange the two, where the padding is of zeros at the ends of height and width.

    A row of zeros in front is ``stride`` rows behind: first those that the pads of the convolution
    cut off, then, beyond what its filters reach, of nothing.
    """
    amounts = _constant(pad, 1)
    value = _constant(pad, 2)
    if amounts is None or amounts[:-2].any() or (value is not None and value.any()):
        return
    *begins, bottom, right = convolution.attributes["pads"].as_ints()
    behind = amounts[-2:] * convolution.attributes["strides"].as_ints()
    cut = np.minimum(behind, (bottom, right))
    convolution.replace_input_with(0, pad.inputs[0])
    pads = [*begins, *((bottom, right) - cut).tolist()]
    convolution.attributes["pads"] = ir.AttrInt64s("pads", pads)

    result = convolution.outputs[0]
    users = result.uses()
    size = ir.node("Constant", [], {"value": ir.tensor([0] * 6 + (behind - cut).tolist())})
    padded = ir.node("Pad", [result, *size.outputs])
    graph.insert_after(convolution, [size, padded])
    for user, index in users:
        user.replace_input_with(index, padded.outputs[0])
    padded.outputs[0].shape, result.shape = result.shape, None


def _constant(node: ir.Node, index: int) -> np.ndarray | None:
    """A constant input of a node, None where there is none."""
    value = node.inputs[index] if index < len(node.inputs) else None
    tensor = None if value is None else ir.convenience.get_const_tensor(value)
    return None if tensor is None else tensor.numpy()
