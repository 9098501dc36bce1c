"""Weights converted once for all picture sizes, instead of once per session.

A bundle stores each filter once, as float16. Its graphs cast it to float32 and, for the backward
pass, transpose and flip it. ONNX Runtime would repeat that for every session.
"""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
import onnx_ir as ir
from onnx_ir.passes import common as passes

from nstbatch.runtime.bundles.external_data import locate_weights


def with_folded_weights(model: onnx.ModelProto, folder: Path) -> ir.Model:
    """Compute every value that depends on weights and constants alone.

    Args:
        model: A graph of any shapes; it is not changed.
        folder: The folder that holds its external data.

    Returns:
        A graph with the same inputs, outputs and results, whose weights are in memory.
    """
    from onnxscript import optimizer

    graph_model = ir.from_proto(model)
    locate_weights(graph_model, folder)
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
