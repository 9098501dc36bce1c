"""The formulas of priors on natural images, see :mod:`nstbatch.runtime.objectives.prior_terms`."""

from __future__ import annotations

from onnxscript import FLOAT, script

from .notation import Tensor, op
from .terms import DOMAIN

# The mean colour of natural images, RGB: ImageNet's, as in torchvision's transforms.
MEAN_COLOUR = (0.485, 0.456, 0.406)

# Added to squared differences, since the derivative of a root is infinite at zero. A guess: with
# it, differences below a thousandth count as none.
SMALLEST_SQUARE = 1e-6


@script(DOMAIN, default_opset=op)
def alpha_norm_loss(image: Tensor, weight: Tensor, alpha: float = 6.0) -> tuple[Tensor, Tensor]:
    """L = w mean |c|^alpha of the centred image c; dL/dc = w alpha c |c|^(alpha - 2) / (C H W).

    Computed as powers of c^2, since a cube is faster than a sixth power.
    """
    mean_colour = op.Reshape(op.Constant(value_floats=MEAN_COLOUR), [1, 3, 1, 1])
    centred = image - mean_colour
    square = centred * centred
    loss = weight * op.ReduceMean(op.Pow(square, alpha / 2.0), [1, 2, 3], keepdims=0)
    elements = op.Cast(op.ReduceProd(op.Shape(image, start=1)), to=FLOAT.dtype)
    slope = op.Unsqueeze(alpha * weight / elements, [1, 2, 3])
    return loss, slope * centred * op.Pow(square, alpha / 2.0 - 1.0)


@script(DOMAIN, default_opset=op)
def total_variation_beta_loss(
    image: Tensor, weight: Tensor, beta: float = 2.0
) -> tuple[Tensor, Tensor]:
    """L = w mean (right^2 + down^2 + e)^(beta / 2), of the differences to the next pixels.

    At the border the difference is zero. A pixel's derivative is that of the differences that end
    in it minus that of the differences that start in it.
    """
    down = op.Slice(image, [1], [2147483647], [2]) - op.Slice(image, [0], [-1], [2])
    right = op.Slice(image, [1], [2147483647], [3]) - op.Slice(image, [0], [-1], [3])
    down = op.Pad(down, [0, 0, 0, 0, 0, 0, 1, 0])
    right = op.Pad(right, [0, 0, 0, 0, 0, 0, 0, 1])
    square = down * down + right * right + SMALLEST_SQUARE
    loss = weight * op.ReduceMean(op.Pow(square, beta / 2.0), [1, 2, 3], keepdims=0)
    elements = op.Cast(op.ReduceProd(op.Shape(image, start=1)), to=FLOAT.dtype)
    slope = op.Unsqueeze(beta * weight / elements, [1, 2, 3]) * op.Pow(square, beta / 2.0 - 1.0)
    ends = op.Pad(op.Slice(slope * down, [0], [-1], [2]), [0, 0, 1, 0, 0, 0, 0, 0])
    ends = ends + op.Pad(op.Slice(slope * right, [0], [-1], [3]), [0, 0, 0, 1, 0, 0, 0, 0])
    return loss, ends - slope * (down + right)
