"""The way back through a max pooling whose windows tile the map, in fewer passes over maps.

The exported graphs compare strided slices with the maximum, one after the other, so that the first
of equal maxima takes the whole cotangent. On a GPU that is 20 kernels for windows of 2x2. Here each
value of a window is compared with its maximum at once. Those that are equal get numbers, the first
one the highest, and the value with the highest number of its window takes the cotangent.

A cotangent goes to values that are their window's maximum, so the two are positive together. If the
pooling alone reads a ReLU, the ReLU's mask is therefore taken of the maxima, a quarter of the
values.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.convenience import replace_nodes_and_values
from onnx_ir.tape import Tape

from nstbatch.runtime.graphs.broadcast_products import shape_of
from nstbatch.runtime.graphs.smallest_side import ints


def with_compared_tiles(model: onnx.ModelProto) -> onnx.ModelProto:
    """Rewrite the cotangents of max poolings that tile their input, with the channels last.

    Args:
        model: A graph of static shapes; it is not changed.

    Returns:
        A graph with the same inputs, outputs and results.
    """
    graph_model = ir.from_proto(model)
    for node in list(graph_model.graph):
        if node.op_type == "DepthToSpace":
            _replace(graph_model.graph, node)
    ir.passes.common.RemoveUnusedNodesPass()(graph_model)
    return ir.to_proto(graph_model)


def _replace(graph: ir.Graph, shuffle: ir.Node) -> None:
    """Replace the shuffle of a pooling's cotangents, written by exporter/rules.py."""
    found = _pooling_of(shuffle)
    if found is None:
        return
    values, highest, cotangent = found
    side = shuffle.attributes["blocksize"].as_int()
    pictures, channels, height, width = shape_of(cotangent)
    tape = Tape()

    def sizes(*numbers: int) -> ir.Value:
        return tape.op("Constant", [], {"value_ints": numbers})

    def apart(value: ir.Value, times: int) -> ir.Value:
        """(N, C, H times, W times) -> (N H, times, W, times, C)."""
        last = tape.op("Transpose", [value], {"perm": [0, 2, 3, 1]})
        return tape.op("Reshape", [last, sizes(pictures * height, times, width, times, channels)])

    def joined(value: ir.Value) -> ir.Value:
        last = tape.op("Reshape", [value, sizes(pictures, side * height, side * width, channels)])
        return tape.op("Transpose", [last], {"perm": [0, 3, 1, 2]})

    pooled = values
    if shape_of(values)[2:] != (side * height, side * width):
        ends = sizes(side * height, side * width)
        pooled = tape.op("Slice", [values, sizes(0, 0), ends, sizes(2, 3)])
    is_highest = tape.op("Equal", [apart(pooled, side), apart(highest, 1)])
    kind = cotangent.dtype
    assert kind is not None
    none = tape.op("Constant", [], {"value": ir.tensor(np.zeros((), kind.numpy()))})
    mask = _mask_of(shuffle.outputs[0], values)
    if mask is not None and mask.inputs[1] is not None:
        mask.outputs[0].replace_all_uses_with(mask.inputs[1])
        positive = tape.op("Cast", [highest], {"to": ir.DataType.BOOL})
        cotangent = tape.op("Where", [positive, cotangent, none])
    numbers = np.arange(side**2, 0, -1).reshape(1, side, 1, side, 1)
    places = tape.op("Constant", [], {"value": ir.tensor(numbers.astype(kind.numpy()))})
    marks = tape.op("Where", [is_highest, places, none])
    window = {"kernel_shape": [side, side], "strides": [side, side]}
    first = tape.op("MaxPool", [joined(marks)], window)
    is_first = tape.op("Equal", [marks, apart(first, 1)])
    result = joined(tape.op("Where", [is_first, apart(cotangent, 1), none]))
    result.shape, result.type = shuffle.outputs[0].shape, shuffle.outputs[0].type
    replace_nodes_and_values(graph, shuffle, [shuffle], tape.nodes, shuffle.outputs, [result])


def _pooling_of(shuffle: ir.Node) -> tuple[ir.Value, ir.Value, ir.Value] | None:
    """The pooled values, their maxima and the maxima's cotangent; None for another shuffle."""
    side = shuffle.attributes["blocksize"].as_int()
    stack = _before(shuffle.inputs[0], "Reshape", "Concat")
    first = None if stack is None else _before(stack.inputs[0], "Unsqueeze", "Where")
    # The first phase: every row and column that starts a window.
    phase = None if first is None else _before(first.inputs[0], "GreaterOrEqual", "Slice", "Slice")
    values = None if phase is None else phase.inputs[0]
    cotangent = None if first is None else first.inputs[1]
    if values is None or cotangent is None:
        return None
    for reader, _ in values.uses():
        if reader.op_type == "MaxPool" and ints(reader, "kernel_shape", []) == [side, side]:
            highest = reader.outputs[0]
            if shape_of(highest) == shape_of(cotangent):
                return values, highest, cotangent
    return None


def _mask_of(result: ir.Value, values: ir.Value) -> ir.Node | None:
    """The mask of a ReLU that alone reads the cotangent of its output; None if there is none.

    See :func:`nstbatch.runtime.graphs.relu_steps.with_conditions`; a ``Pad`` may come before it.
    """
    readers = [reader for reader, _ in result.uses()]
    if len(readers) == 1 and readers[0].op_type == "Pad":
        return _mask_of(readers[0].outputs[0], values)
    relu = values.producer()
    if len(readers) != 1 or readers[0].op_type != "Where" or relu is None or relu.op_type != "Relu":
        return None
    cast = readers[0].inputs[0].producer() if readers[0].inputs[0] else None
    return readers[0] if cast is not None and cast.inputs[0] is values else None


def _before(value: ir.Value | None, *operators: str) -> ir.Node | None:
    """The last node of a chain of operators that ends in a value; shapes between do not count."""
    node = None
    for operator in operators:
        node = None if value is None else value.producer()
        if node is None or node.op_type != operator:
            return None
        value = node.inputs[0]
    return node
