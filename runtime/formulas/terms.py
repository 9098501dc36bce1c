"""The formulas of the terms of style transfer: targets, losses and cotangents, as ONNX.

:mod:`.terms` documents their inputs and outputs.
"""

from __future__ import annotations

import onnxscript
from onnxscript import FLOAT, script

from .notation import Tensor, op

DOMAIN = onnxscript.values.Opset("nstbatch.terms", 1)

# --- Content ----------------------------------------------------------------------------------


@script(DOMAIN, default_opset=op)
def content_target(activation: Tensor) -> Tensor:
    """The activation itself: (N, C, H, W), or (N, C) for a layer without positions."""
    return op.Identity(activation)


@script(DOMAIN, default_opset=op)
def content_loss(activation: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """L = w mean (F - P)^2; dL/dF = 2 w (F - P) / (C H W). neural-style's nn.MSECriterion.

    The mean is over all axes but the first, so (N, C) activations work as well.
    """
    difference = activation - target
    axes = op.Range(1, op.Size(op.Shape(activation)), 1)
    loss = weight * op.ReduceMean(difference * difference, axes, keepdims=0)
    elements = op.Cast(op.ReduceProd(op.Shape(activation, start=1)), to=FLOAT.dtype)
    slope = op.Unsqueeze(2.0 * weight / elements, axes)
    return loss, difference * slope


# --- Style ------------------------------------------------------------------------------------


@script(DOMAIN, default_opset=op)
def gram_matrix(activation: Tensor) -> Tensor:
    """G = F F^T / (C H W), (N, C, C), of the activation as F (N, C, H W); neural-style's scale.

    F is divided by the root of the scale before the product, whose sum of squares would otherwise
    overflow float16.
    """
    elements = op.Cast(op.ReduceProd(op.Shape(activation, start=1)), to=FLOAT.dtype)
    features = op.Reshape(activation, [0, 0, -1]) / op.Sqrt(elements)
    return op.MatMul(features, op.Transpose(features, perm=[0, 2, 1]))


@script(DOMAIN, default_opset=op)
def carried_back(filters: Tensor, activation: Tensor, pictures: int = 1) -> Tensor:
    """The product of symmetric matrices (N, C, C) with F (N, C, H, W): (N, C, H, W).

    It is a 1x1 convolution whose filters are the matrices, one group per picture. It saves two
    changes of layout: 13 % of a whole step of VGG16 at 512 pixels.
    """
    channels = op.Shape(activation, start=1, end=2)
    rows = op.Reshape(filters, op.Concat([-1], channels, [1, 1], axis=0))
    stacked = op.Reshape(activation, op.Concat([1, -1], op.Shape(activation, start=2), axis=0))
    return op.Reshape(op.Conv(stacked, rows, group=pictures), op.Shape(activation))


@script(DOMAIN, default_opset=op)
def style_loss(
    activation: Tensor, target: Tensor, weight: Tensor, pictures: int = 1
) -> tuple[Tensor, Tensor]:
    """L = w mean (G - A)^2; dL/dF = 4 w (G - A) F / (C^3 H W), since G and A are symmetric."""
    difference = gram_matrix(activation) - target
    loss = weight * op.ReduceMean(difference * difference, [1, 2], keepdims=0)

    channels = op.Shape(activation, start=1, end=2)
    elements = op.Cast(op.ReduceProd(op.Shape(activation, start=1)), to=FLOAT.dtype)
    pairs = op.Cast(channels * channels, to=FLOAT.dtype)
    scaled = difference * op.Unsqueeze(4.0 * weight / (pairs * elements), [1, 2])
    return loss, carried_back(scaled, activation, pictures=pictures)


# --- Total variation --------------------------------------------------------------------------


@script(DOMAIN, default_opset=op)
def total_variation_loss(image: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """L = w mean (right^2 + down^2), of the differences to the next pixels; zero at the border.

    A pixel's derivative is 2 w / (C H W) times the differences that end in it minus those that
    start in it.
    """
    down = op.Slice(image, [1], [2147483647], [2]) - op.Slice(image, [0], [-1], [2])
    right = op.Slice(image, [1], [2147483647], [3]) - op.Slice(image, [0], [-1], [3])
    elements = op.Cast(op.ReduceProd(op.Shape(image, start=1)), to=FLOAT.dtype)
    scale = weight / elements
    steps = op.ReduceSum(down * down, [1, 2, 3], keepdims=0) + op.ReduceSum(
        right * right, [1, 2, 3], keepdims=0
    )
    ends = op.Pad(down, [0, 0, 1, 0, 0, 0, 0, 0]) + op.Pad(right, [0, 0, 0, 1, 0, 0, 0, 0])
    starts = op.Pad(down, [0, 0, 0, 0, 0, 0, 1, 0]) + op.Pad(right, [0, 0, 0, 0, 0, 0, 0, 1])
    return scale * steps, (ends - starts) * op.Unsqueeze(2.0 * scale, [1, 2, 3])


# --- Projection -------------------------------------------------------------------------------


@script(DOMAIN, default_opset=op)
def inner_product(activation: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """L = w <F, v> for every picture; dL/dF = w v. F is (N, C, H, W) or (N, C)."""
    loss = weight * op.ReduceSum(op.Flatten(activation * target, axis=1), [1], keepdims=0)
    # Transposing reverses the axes: the batch becomes the last one, which the weights multiply.
    return loss, op.Transpose(op.Transpose(target) * weight)
