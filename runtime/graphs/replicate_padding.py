"""Pads a network's first convolution with copies of the picture's edge, where it has zeros.

Zeros are an edge of their own, which shows as a frame of lines (style-transfer-pytorch sets
``padding_mode = 'replicate'`` of its first convolution). The picture is padded before the
convolution, which pads nothing itself. On the way back the convolution gives the gradient of the
padded picture, whose margins are then added to the pixels that they copied.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx
import onnx_ir as ir
from onnx_ir.tape import Tape

from nstbatch.runtime.names import GRADIENT, IMAGE

from .smallest_side import ints

_NONE = [0, 0, 0, 0]
_PRODUCTS = ("Conv", "ConvTranspose")


def with_replicated_edges(network: onnx.ModelProto) -> onnx.ModelProto:
    """Forward or gradient graph -> the same graph with another padding.

    Args:
        network: As the exporter writes it, for pictures of 2x2 pixels and more; it is not changed.

    Returns:
        A graph with the same inputs and outputs; the same graph for a network whose first
        convolution pads nothing.
    """
    model = ir.from_proto(network)
    graph = model.graph
    first = _first_convolution(graph)
    pads = _NONE if first is None else ints(first, "pads", _NONE)
    if first is None or not any(pads):
        return network
    seen = first.inputs[0]
    assert seen is not None
    tape = Tape()
    amounts = _constant(tape, [0, 0, *pads[:2], 0, 0, *pads[2:]])
    first.replace_input_with(0, tape.op("Pad", [seen, amounts], {"mode": "edge"}))
    first.attributes["pads"] = ir.AttrInt64s("pads", _NONE)
    graph.insert_before(first, tape.nodes)
    if graph.outputs[-1].name == GRADIENT:
        _pull_back(graph, seen, pads)
    return ir.to_proto(model)


def _first_convolution(graph: ir.Graph) -> ir.Node | None:
    """The first convolution behind the preprocessing; None if there is none."""
    image = next(value for value in graph.inputs if value.name == IMAGE)
    behind = {image}
    for node in graph:
        if node.inputs and node.inputs[0] in behind and node.op_type != "Shape":
            if node.op_type == "Conv" and node.inputs[0] is not image:
                return node
            behind.update(node.outputs)
    return None


def _pull_back(graph: ir.Graph, seen: ir.Value, pads: Sequence[int]) -> None:
    """Let the last product give the gradient of the padded picture, and fold its margins."""
    preprocessing = graph.outputs[-1].producer()
    node = preprocessing and _producer(preprocessing)
    while node and node.op_type not in _PRODUCTS:  # what cuts a transposed convolution to size
        node = _producer(node)
    assert preprocessing is not None
    assert node is not None
    # A transposed convolution cuts its pads off, and a convolution adds them.
    sign = 1 if node.op_type == "Conv" else -1
    before = ints(node, "pads", _NONE)
    wider = [old + sign * pad for old, pad in zip(before, pads, strict=True)]
    node.attributes["pads"] = ir.AttrInt64s("pads", wider)
    gradient = node.outputs[0]
    gradient.shape = None
    tape = Tape()
    for axis, begin, end in zip((3, 2), (pads[1], pads[0]), (pads[3], pads[2]), strict=True):
        gradient = _folded(tape, gradient, seen, axis, begin, end)
    preprocessing.replace_input_with(0, gradient)
    graph.insert_before(preprocessing, tape.nodes)


def _producer(node: ir.Node) -> ir.Node | None:
    value = node.inputs[0]
    return None if value is None else value.producer()


def _folded(
    tape: Tape, gradient: ir.Value, seen: ir.Value, axis: int, begin: int, end: int
) -> ir.Value:
    """Add the margins of an axis to the first and the last place of what they surround.

    Args:
        tape: Takes the nodes.
        gradient: Of the padded picture; rows or columns behind it are left out.
        seen: The picture, which has the length that is wanted.
        axis: The axis.
        begin: Length of the margin before it.
        end: Length of the margin behind it.
    """
    along, one = _constant(tape, [axis]), _constant(tape, [1])
    length = tape.op("Shape", [seen], {"start": axis, "end": axis + 1})
    starts = [_constant(tape, [0]), _constant(tape, [begin + 1])]
    starts.append(tape.op("Add", [length, _constant(tape, [begin - 1])]))
    stops = [*starts[1:], tape.op("Add", [length, _constant(tape, [begin + end])])]
    first, inner, last = (
        tape.op("Slice", [gradient, start, stop, along, one])
        for start, stop in zip(starts, stops, strict=True)
    )
    first, last = (tape.op("ReduceSum", [part, along], {"keepdims": 1}) for part in (first, last))
    return tape.op("Concat", [first, inner, last], {"axis": axis})


def _constant(tape: Tape, values: list[int]) -> ir.Value:
    return tape.op("Constant", [], {"value_ints": values})
