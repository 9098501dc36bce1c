"""Gram matrices with the positions first, as the layout of OpenVINO's convolutions has them.

A term takes them as F Fᵀ of features F (channels, positions). OpenVINO's convolutions leave the
channels of a pixel side by side, so each layer is copied to that order first; and its product of
bf16 rows of 2^20 elements or more, VGG16's first layer from 1024x1024 pixels on, is 1400 times as
slow as that of rows a little shorter: 20 s. Fᵀ F of features (positions, channels) is the same
matrix, with neither.
"""

from __future__ import annotations

from typing import Any

import onnx
import onnx_ir as ir
from onnxscript.rewriter import rewrite
from onnxscript.rewriter.pattern import RewriteRule, RewriteRuleSet


def with_positions_first(model: onnx.ModelProto) -> onnx.ModelProto:
    """Write the Gram matrices of :func:`.term_formulas.gram_matrix` as sums over positions.

    Args:
        model: A graph of static shapes; it is left as it is.

    Returns:
        A graph of the same inputs and outputs, whose results differ by rounding.
    """
    return rewrite(model, pattern_rewrite_rules=RULES)


def _gram_matrix(op: Any, activation: Any, shape: Any, scale: Any) -> Any:
    features = op.Div(op.Reshape(activation, shape, _outputs=["rows"]), scale)
    return op.MatMul(features, op.Transpose(features, perm=[0, 2, 1]))


def _is_of_places(
    _: Any, activation: ir.Value, rows: ir.Value, scale: ir.Value, **others: ir.Value
) -> bool:
    if activation.shape is None or rows.shape is None or scale.shape is None:
        return False
    places_are_rows = len(activation.shape) == 4 and rows.shape[:2] == activation.shape[:2]
    return places_are_rows and scale.shape.dims in ((), (1,))


def _of_positions(op: Any, activation: ir.Value, scale: ir.Value, **others: ir.Value) -> Any:
    assert activation.shape is not None
    pictures, channels, height, width = activation.shape.numpy()
    places = op.Transpose(activation, perm=[0, 2, 3, 1])
    shape = op.Constant(value_ints=[pictures, height * width, channels])
    features = op.Div(op.Reshape(places, shape), scale)
    return op.MatMul(op.Transpose(features, perm=[0, 2, 1]), features)


RULES = RewriteRuleSet([RewriteRule(_gram_matrix, _of_positions, _is_of_places)])
