"""Specialises a graph for one picture size: static shapes, and known values folded.

The exported graphs are symbolic in batch, height and width, so they contain arithmetic on shapes
and pads for sizes that do not divide evenly. Once the sizes are known, all of it folds away.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.passes import common as passes

# Shapes, axes and scalars are folded here; weights are folded by the runtime when it loads.
LARGEST_FOLDED = 256


def specialise(model: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]]) -> onnx.ModelProto:
    """Set the shapes of the inputs and fold everything that depends on them alone.

    Args:
        model: A symbolic graph; it is not changed.
        shapes: The shape of every input, by name.

    Returns:
        A graph with the same inputs, outputs and results.
    """
    from onnxscript import optimizer

    graph_model = ir.from_proto(model)
    graph = graph_model.graph
    for value in graph.inputs:
        value.shape = ir.Shape(shapes[str(value.name)])
    for node in graph:
        for value in node.outputs:
            value.shape = None  # was symbolic; inferred again below
    optimizer.fold_constants(
        graph_model,
        onnx_shape_inference=True,
        input_size_limit=LARGEST_FOLDED,
        output_size_limit=LARGEST_FOLDED,
        should_fold=lambda node: False if _reads_weights(node) else None,
    )
    for node in list(graph):
        if _does_nothing(node):
            kept = node.inputs[0]
            assert kept is not None
            node.outputs[0].replace_all_uses_with(kept, replace_graph_outputs=True)
    passes.RemoveUnusedNodesPass()(graph_model)
    return ir.to_proto(graph_model)


def _reads_weights(node: ir.Node) -> bool:
    """True if a node reads external data: its file is not known here, so it cannot be folded."""
    return any(
        value is not None and isinstance(value.const_value, ir.ExternalTensor)
        for value in node.inputs
    )


def _does_nothing(node: ir.Node) -> bool:
    """True if a node returns its first input unchanged."""
    value = node.inputs[0] if node.inputs else None
    if value is None or (value.is_graph_input() and node.outputs[0].is_graph_output()):
        return False
    if node.op_type == "Reshape":
        before, after = value.shape, node.outputs[0].shape
        return before is not None and after is not None and before.is_static() and before == after
    if node.op_type == "Pad":
        pads = node.inputs[1]
        constant = None if pads is None else ir.convenience.get_const_tensor(pads)
        return constant is not None and not np.any(constant.numpy())
    return False
