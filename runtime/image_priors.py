"""Priors on natural images (Mahendran & Vedaldi 2015): neither out of range nor rough.

Both are formulas on the image alone. Their published weights are for sums over a mean-centred image
of 227x227 pixels in levels from 0 to 255, divided by the square of its average norm. Here they are
means over an image in [0, 1]; the factors that the objectives carry make up for both, so the
published weights mean what they meant, at any size.
"""

from __future__ import annotations

import math

from onnxscript import FLOAT, script

from .terms import DOMAIN, Objective, Tensor, Term, op, total_variation

# deep-goggle, x0_sigma.mat: the norm of their images less the mean, taken over 227x227x3 values.
IMAGE_NORM = 27098.1
# The same as a root mean square, in levels: 68.9.
IMAGE_RMS = IMAGE_NORM / math.sqrt(227 * 227 * 3)
LEVELS = 255

# The mean of a natural image, RGB: ImageNet's, as in torchvision's transforms.
MEAN_COLOUR = (0.485, 0.456, 0.406)

# A step of a thousandth is taken for none: the derivative of its root has no end at zero. A guess.
SMALLEST_SQUARE = 1e-6


def alpha_norm(alpha: float) -> Objective:
    """Alpha-norm: mean |x - mean colour|^alpha, a soft bound on the range of the pixels.

    Args:
        alpha: 2 or more.
    """
    factor = float(LEVELS**alpha) / IMAGE_RMS**2
    term = Term("alpha-norm", None, alpha_norm_loss, attributes=(("alpha", float(alpha)),))
    return Objective(((factor, term),))


def total_variation_beta(beta: float) -> Objective:
    """TV^beta: mean (right^2 + down^2)^(beta / 2); for a beta of 2 the total variation.

    Args:
        beta: 1 or more. At 1 a few steep steps cost no more than many small ones.
    """
    factor = float(LEVELS**beta) / IMAGE_RMS**2
    if beta == 2:
        return factor * total_variation()
    term = Term("tv", None, total_variation_beta_loss, attributes=(("beta", float(beta)),))
    return Objective(((factor, term),))


@script(DOMAIN, default_opset=op)
def alpha_norm_loss(image: Tensor, weight: Tensor, alpha: float = 6.0) -> tuple[Tensor, Tensor]:
    """L = w mean |c|^alpha of the centred image c; dL/dc = w alpha c |c|^(alpha - 2) / (C H W).

    As powers of the square, since a cube is quick where a sixth power is not.
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
    """L = w mean (right^2 + down^2 + e)^(beta / 2) of the steps to the next pixel.

    At the border there is no step. A pixel's derivative is that of the steps that end in it less
    that of those that start.
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
