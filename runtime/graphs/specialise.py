"""A graph for one size of picture: static shapes, and nothing left to compute that is known.

The exported graphs are symbolic in batch, height and width, so they carry arithmetic on shapes and
pads for sizes that do not divide evenly. With the sizes known, all of that folds away.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.passes import common as passes
from onnxscript import optimizer

# Shapes, axes and scalars are folded here; weights are folded by the runtime when it loads.
LARGEST_FOLDED = 256


def specialise(model: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]]) -> onnx.ModelProto:
    """Fix the shapes of the inputs and fold what follows from them.

    Args:
        model: A symbolic graph; it is left as it is.
        shapes: The shape of every input, by name.

    Returns:
        A graph of the same inputs, outputs and results.
    """
    graph_model = ir.from_proto(model)
    graph = graph_model.graph
    for value in graph.inputs:
        value.shape = ir.Shape(shapes[str(value.name)])
    for node in graph:
        for value in node.outputs:
            value.shape = None  # was symbolic; inferred anew below
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
    """Whether a node reads numbers that lie beside the graph, where nobody can look here."""
    return any(
        value is not None and isinstance(value.const_value, ir.ExternalTensor)
        for value in node.inputs
    )


def _does_nothing(node: ir.Node) -> bool:
    """Whether a node hands on its first input as it is."""
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
