"""Gram matrices computed with the positions first, which is the layout of OpenVINO's convolutions.

A term computes F Fᵀ of features F (channels, positions). On OpenVINO this has two costs. Its
convolutions put the channels of a pixel side by side, so each layer is copied to the other order
first. And its product of bf16 rows of 2^20 elements or more (VGG16's first layer from 1024x1024
pixels on) takes 20 s, 1400 times as long as with slightly shorter rows. Fᵀ F of features
(positions, channels) is the same matrix without either cost.
"""

from __future__ import annotations

from typing import Any

import onnx
import onnx_ir as ir


def with_positions_first(model: onnx.ModelProto) -> onnx.ModelProto:
    """Rewrite the Gram matrices of style losses as Fᵀ F, positions first.

    They come from :func:`nstbatch.runtime.formulas.terms.gram_matrix`.

    Args:
        model: A graph of static shapes; it is not changed.

    Returns:
        A graph with the same inputs and outputs, whose results differ by rounding.
    """
    from onnxscript.rewriter import rewrite
    from onnxscript.rewriter.pattern import RewriteRule, RewriteRuleSet

    rule = RewriteRule(_gram_matrix, _positions_first, _is_gram_of_activation)
    return rewrite(model, pattern_rewrite_rules=RewriteRuleSet([rule]))


def _gram_matrix(op: Any, activation: Any, shape: Any, scale: Any) -> Any:
    features = op.Div(op.Reshape(activation, shape, _outputs=["rows"]), scale)
    return op.MatMul(features, op.Transpose(features, perm=[0, 2, 1]))


def _is_gram_of_activation(
    _: Any, activation: ir.Value, rows: ir.Value, scale: ir.Value, **others: ir.Value
) -> bool:
    if activation.shape is None or rows.shape is None or scale.shape is None:
        return False
    channels_are_rows = len(activation.shape) == 4 and rows.shape[:2] == activation.shape[:2]
    return channels_are_rows and scale.shape.dims in ((), (1,))


def _positions_first(op: Any, activation: ir.Value, scale: ir.Value, **others: ir.Value) -> Any:
    assert activation.shape is not None
    pictures, channels, height, width = activation.shape.numpy()
    channels_last = op.Transpose(activation, perm=[0, 2, 3, 1])
    shape = op.Constant(value_ints=[pictures, height * width, channels])
    features = op.Div(op.Reshape(channels_last, shape), scale)
    return op.MatMul(op.Transpose(features, perm=[0, 2, 1]), features)
