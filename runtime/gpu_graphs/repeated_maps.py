"""Maps that are repeated, for devices whose convolutions have the channels last.

The way back through an average pooling repeats each value for its window, which the exported
graphs write as ``Resize``. CUDA's provider resizes with the channels first, by two kernels, so that
each map is transposed before it and behind it. An ``Expand`` of inserted axes does the same with
the channels last, in one. A processor is slower so (:mod:`nstbatch.exporter.rules`).
"""

from __future__ import annotations

import onnx
import onnx_ir as ir
from onnx_ir.convenience import replace_nodes_and_values
from onnx_ir.tape import Tape

from nstbatch.runtime.graphs.broadcast_products import shape_of


def with_expanded_maps(model: onnx.ModelProto) -> onnx.ModelProto:
    """Rewrite nearest ``Resize`` by whole numbers as ``Expand``, with the channels last.

    If a ``Where`` alone reads it, that repeats the values itself.

    Args:
        model: A graph of static shapes; it is not changed.

    Returns:
        A graph with the same inputs, outputs and results.
    """
    graph_model = ir.from_proto(model)
    graph = graph_model.graph
    for node in list(graph):
        times = _times(node)
        if times is not None:
            readers = [reader for reader, index in node.outputs[0].uses() if index == 1]
            mask = readers[0] if len(node.outputs[0].uses()) == len(readers) == 1 else None
            _replace(graph, node, times, mask if mask and mask.op_type == "Where" else None)
    ir.passes.common.RemoveUnusedNodesPass()(graph_model)
    return ir.to_proto(graph_model)


def _times(node: ir.Node) -> tuple[int, int] | None:
    """How often a node repeats rows and columns; None if it does something else."""
    if node.op_type != "Resize" or len(node.inputs) != 3 or len(shape_of(node.inputs[0])) != 4:
        return None
    wanted = {
        "mode": "nearest",
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    }
    if {name: node.attributes[name].as_string() for name in node.attributes} != wanted:
        return None
    scales = ir.convenience.get_const_tensor(node.inputs[2]) if node.inputs[2] else None
    if scales is None:
        return None
    pictures, channels, *times = scales.numpy().tolist()
    is_whole = (pictures, channels) == (1, 1) and all(time == int(time) >= 1 for time in times)
    return (int(times[0]), int(times[1])) if is_whole else None


def _replace(
    graph: ir.Graph, node: ir.Node, times: tuple[int, int], masked: ir.Node | None
) -> None:
    """Replace a Resize, and the Where that alone reads it, if there is one."""
    pictures, channels, height, width = shape_of(node.inputs[0])
    down, right = times
    tape = Tape()

    def apart(value: ir.Value | None, rows: int, columns: int) -> ir.Value:
        """(N, C, H rows, W columns) -> (N H, rows, W, columns, C)."""
        last = tape.op("Transpose", [value], {"perm": [0, 2, 3, 1]})
        sizes = (pictures * height, rows, width, columns, channels)
        return tape.op("Reshape", [last, _sizes(tape, *sizes)])

    values = apart(node.inputs[0], 1, 1)
    if masked is None:
        sizes = (pictures * height, down, width, right, channels)
        repeated = tape.op("Expand", [values, _sizes(tape, *sizes)])
    else:
        condition, _, otherwise = masked.inputs
        repeated = tape.op("Where", [apart(condition, down, right), values, otherwise])
    sizes_joined = (pictures, height * down, width * right, channels)
    joined = tape.op("Reshape", [repeated, _sizes(tape, *sizes_joined)])
    result = tape.op("Transpose", [joined], {"perm": [0, 3, 1, 2]})
    old = node if masked is None else masked
    result.shape, result.type = old.outputs[0].shape, old.outputs[0].type
    replace_nodes_and_values(graph, old, [old], tape.nodes, old.outputs, [result])


def _sizes(tape: Tape, *values: int) -> ir.Value:
    return tape.op("Constant", [], {"value_ints": values})
