"""Update graphs: one optimiser step as ONNX, built from an optimiser's formula.

An update graph maps image, gradient, state -> image, state. Everything in it is float32, every
shape is static, and there is no If, Loop or Scan, so a session can run it on the device of the step
graph and a CUDA graph can capture it.

================== ============= ====================================================
input              shape         meaning
================== ============= ====================================================
image              (N, 3, H, W)  the pictures being made
gradient           (N, 3, H, W)  d(loss)/d(image), each picture's own
learning_rate      ()            step size
lower, upper       ()            bounds of the pixel values; -inf and +inf for none
state/<name>       (N, ...)      the optimiser's state, such as Adam's moments
================== ============= ====================================================

The outputs are ``image_out`` and one ``state_out/<name>`` for every ``state/<name>``, in that order
and with the same shapes. No arithmetic crosses the first axis, so each picture of a batch moves
exactly as if it were alone. The session must really compute in float32, without TF32 or bfloat16:
moments and curvature are differences of nearly equal numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx
import onnx_ir as ir
from onnx_ir.passes import common as passes

from nstbatch.runtime.arrays import ImageShape, Shape
from nstbatch.runtime.formulas.formula import Formula
from nstbatch.runtime.names import GRADIENT, IMAGE, IMAGE_OUT, SCALARS, STATE, STATE_OUT


def update_model(
    formula: Any, image_shape: ImageShape, state_shapes: Mapping[str, Shape]
) -> onnx.ModelProto:
    """Turn a formula into an update graph with the names and shapes of the table above.

    Args:
        formula: An onnxscript function (image, gradient, learning_rate, lower, upper, *state) ->
            (image, *state), its state in the order of ``state_shapes``.
        image_shape: (N, 3, H, W).
        state_shapes: The shapes of the optimiser's state, by name.
    """
    model: ir.Model = ir.from_proto(formula.to_model_proto())
    inputs: dict[str, Shape] = {IMAGE: image_shape, GRADIENT: image_shape}
    inputs |= dict.fromkeys(SCALARS, ())
    inputs |= {STATE + name: shape for name, shape in state_shapes.items()}
    outputs: dict[str, Shape] = {IMAGE_OUT: image_shape}
    outputs |= {STATE_OUT + name: shape for name, shape in state_shapes.items()}
    for values, named in ((model.graph.inputs, inputs), (model.graph.outputs, outputs)):
        for value, (name, shape) in zip(values, named.items(), strict=True):
            value.name, value.shape, value.dtype = name, ir.Shape(shape), ir.DataType.FLOAT
    return ir.to_proto(_tidied(model))


def extended(
    update: onnx.ModelProto, formula: Formula, state_shapes: Mapping[str, Shape], **constants: float
) -> onnx.ModelProto:
    """Give an update graph a further state, which follows the images.

    Args:
        update: An update graph; it is not changed.
        formula: (image, image_out, *state) -> state, in the order of ``state_shapes``.
        state_shapes: The shapes of the further state, by name.
        constants: Further arguments of the formula.
    """
    from .link import Editor

    editor = Editor(update)
    outputs = {str(value.name): value for value in editor.graph.outputs}
    state = [editor.add_input(STATE + name) for name in state_shapes]
    for value, shape in zip(state, state_shapes.values(), strict=True):
        value.shape = ir.Shape(shape)
    images = (editor.values[IMAGE], editor.values[IMAGE_OUT])
    made = editor.call(formula, *images, *state, **constants)
    for value, (name, shape) in zip(made, state_shapes.items(), strict=True):
        value.shape, value.dtype = ir.Shape(shape), ir.DataType.FLOAT
        outputs[STATE_OUT + name] = value
    return editor.finish(outputs)


def _tidied(model: ir.Model) -> ir.Model:
    # Not onnxscript.optimizer.optimize(): its rewrite rules treat a constant of 1e-8 as zero
    # (onnxscript 0.7.2) and so drop Adam's epsilon.
    from onnxscript import optimizer

    passes.InlinePass()(model)
    passes.ShapeInferencePass()(model)
    optimizer.fold_constants(model)
    passes.RemoveUnusedNodesPass()(model)
    passes.CommonSubexpressionEliminationPass()(model)
    passes.RemoveUnusedOpsetsPass()(model)
    return model
