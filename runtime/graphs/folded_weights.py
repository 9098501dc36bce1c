"""Weights as a graph reads them, computed once for pictures of all sizes.

A bundle keeps each filter once and in half precision, and its graphs widen it, and turn it around
for the way back. ONNX Runtime would do that for every session anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
import onnx_ir as ir
from onnx_ir.passes import common as passes
from onnxscript import optimizer


def with_folded_weights(model: onnx.ModelProto, folder: Path) -> ir.Model:
    """Compute all that depends on weights and constants alone.

    Args:
        model: A graph, of whatever shapes; it is left as it is.
        folder: Where its external data lies.

    Returns:
        A graph of the same inputs, outputs and results, with all weights at hand.
    """
    graph_model = ir.from_proto(model)
    for value in graph_model.graph.initializers.values():
        if isinstance(value.const_value, ir.ExternalTensor):
            value.const_value.base_dir = folder
    optimizer.fold_constants(
        graph_model,
        onnx_shape_inference=False,
        output_size_limit=sys.maxsize,
        should_fold=lambda node: bool(node.inputs) and all(map(_is_known, node.inputs)),
    )
    passes.RemoveUnusedNodesPass()(graph_model)
    return graph_model


def _is_known(value: ir.Value | None) -> bool:
    return value is None or value.const_value is not None
