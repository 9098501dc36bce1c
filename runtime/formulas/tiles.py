"""The formulas of losses that are computed tile by tile, for pictures larger than memory.

A loss is split into three. ``sums`` adds up what the loss needs over the positions of a tile that
its ``mask`` (1, 1, h, w) selects. ``finish`` takes these sums over all tiles and gives the weighted
loss (N,), and ``slope``: the few numbers that the derivative depends on beside the tile itself.
``pull`` gives the derivative in the tile's activation. ``elements`` is C H W of the whole picture.
"""

from __future__ import annotations

import onnxscript
from onnxscript import FLOAT, script

from .dream import guide_loss
from .notation import Tensor, op
from .priors import MEAN_COLOUR, SMALLEST_SQUARE, alpha_norm_loss, total_variation_beta_loss
from .scaled import scaled_error
from .terms import carried_back, gram_matrix, total_variation_loss

DOMAIN = onnxscript.values.Opset("nstbatch.tiles", 1)


@script(DOMAIN, default_opset=op)
def elements_of(activation: Tensor) -> Tensor:
    """C h w of an activation (N, C, h, w), a scalar."""
    return op.Cast(op.ReduceProd(op.Shape(activation, start=1)), to=FLOAT.dtype)


@script(DOMAIN, default_opset=op)
def mean_finish(sums: Tensor, weight: Tensor, elements: Tensor) -> tuple[Tensor, Tensor]:
    """L = w S / (C H W) of sums (N, 1, 1, 1); the slope is w / (C H W)."""
    slope = op.Unsqueeze(weight / elements, [1, 2, 3])
    return op.Squeeze(slope * sums, [1, 2, 3]), slope


# --- Content ----------------------------------------------------------------------------------


@script(DOMAIN, default_opset=op)
def content_sums(activation: Tensor, mask: Tensor, target: Tensor) -> Tensor:
    """Sum D^2, (N, 1, 1, 1), of D = F - P."""
    difference = (activation - target) * mask
    return op.ReduceSum(difference * difference, [1, 2, 3])


@script(DOMAIN, default_opset=op)
def content_pull(activation: Tensor, slope: Tensor, target: Tensor) -> Tensor:
    """dL/dF = 2 w D / (C H W)."""
    return (activation - target) * (2.0 * slope)


@script(DOMAIN, default_opset=op)
def scaled_content_sums(activation: Tensor, mask: Tensor, target: Tensor) -> Tensor:
    """Sum D^2 and sum |D|, (N, 2, 1, 1)."""
    difference = (activation - target) * mask
    squares = op.ReduceSum(difference * difference, [1, 2, 3])
    return op.Concat(squares, op.ReduceSum(op.Abs(difference), [1, 2, 3]), axis=1)


@script(DOMAIN, default_opset=op)
def scaled_content_finish(sums: Tensor, weight: Tensor, elements: Tensor) -> tuple[Tensor, Tensor]:
    """E = w sum D^2 / (sum |D| + 1e-8); the slopes are 2 w and E, both divided by that sum."""
    squares, absolute = op.Split(sums, num_outputs=2, axis=1)
    scale = absolute + 1e-8  # see scaled_error
    weights = op.Unsqueeze(weight, [1, 2, 3])
    error = weights * squares / scale
    return op.Squeeze(error, [1, 2, 3]), op.Concat(2.0 * weights / scale, error / scale, axis=1)


@script(DOMAIN, default_opset=op)
def scaled_content_pull(activation: Tensor, slope: Tensor, target: Tensor) -> Tensor:
    """dE/dF = (2 w D - E sign D) / (sum |D| + 1e-8)."""
    difference = activation - target
    of_difference, of_sign = op.Split(slope, num_outputs=2, axis=1)
    return of_difference * difference - of_sign * op.Sign(difference)


# --- Style ------------------------------------------------------------------------------------


@script(DOMAIN, default_opset=op)
def gram_sums(activation: Tensor, mask: Tensor) -> Tensor:
    """F F^T, (N, C, C)."""
    return gram_matrix(activation * mask) * elements_of(activation)


@script(DOMAIN, default_opset=op)
def style_finish(
    sums: Tensor, target: Tensor, weight: Tensor, elements: Tensor
) -> tuple[Tensor, Tensor]:
    """L = w mean (G - A)^2, G = F F^T / (C H W); the slope is 4 w (G - A) / (C^3 H W)."""
    difference = sums / elements - target
    loss = weight * op.ReduceMean(difference * difference, [1, 2], keepdims=0)
    pairs = op.Cast(op.ReduceProd(op.Shape(target, start=1)), to=FLOAT.dtype)
    return loss, difference * op.Unsqueeze(4.0 * weight / (pairs * elements), [1, 2])


@script(DOMAIN, default_opset=op)
def scaled_style_finish(
    sums: Tensor, target: Tensor, weight: Tensor, elements: Tensor
) -> tuple[Tensor, Tensor]:
    """L = E(G - A), G = F F^T / (C H W); the slope is 2 (dE/dG) / (C H W)."""
    loss, slope = scaled_error(sums / elements - target, weight)
    return loss, slope * (2.0 / elements)


@script(DOMAIN, default_opset=op)
def style_pull(activation: Tensor, slope: Tensor, pictures: int = 1) -> Tensor:
    """dL/dF, the product of the slope, (N, C, C), with F."""
    return carried_back(slope, activation, pictures=pictures)


# --- Dreams -----------------------------------------------------------------------------------


@script(DOMAIN, default_opset=op)
def energy_sums(activation: Tensor, mask: Tensor, target: Tensor) -> Tensor:
    """-1/2 sum t F^2, (N, 1, 1, 1)."""
    return -0.5 * op.ReduceSum(activation * activation * target * mask, [1, 2, 3])


@script(DOMAIN, default_opset=op)
def energy_pull(activation: Tensor, slope: Tensor, target: Tensor) -> Tensor:
    """dL/dF = -w t F / (C H W)."""
    return -slope * target * activation


@script(DOMAIN, default_opset=op)
def guide_sums(activation: Tensor, mask: Tensor, target: Tensor) -> Tensor:
    """-sum_x max_p t_p . F_x, (N, 1, 1, 1), of guide features t (P, C)."""
    likeness = op.MatMul(target, op.Reshape(activation, [0, 0, -1]))
    counting = op.ReduceMax(likeness, [1]) * op.Reshape(mask, [0, 0, -1])
    return -op.Unsqueeze(op.ReduceSum(counting, [1, 2]), [3])


@script(DOMAIN, default_opset=op)
def guide_pull(activation: Tensor, slope: Tensor, target: Tensor) -> Tensor:
    """The derivative of :func:`.dream.guide_loss`."""
    weight = op.Squeeze(slope, [1, 2, 3]) * elements_of(activation)
    _, pull = guide_loss(activation, target, weight)
    return pull


# --- Projection -------------------------------------------------------------------------------


@script(DOMAIN, default_opset=op)
def product_sums(activation: Tensor, mask: Tensor, target: Tensor) -> Tensor:
    """Sum F v, (N, 1, 1, 1)."""
    return op.ReduceSum(activation * target * mask, [1, 2, 3])


@script(DOMAIN, default_opset=op)
def product_finish(sums: Tensor, weight: Tensor, elements: Tensor) -> tuple[Tensor, Tensor]:
    """L = w S; the slope is w."""
    slope = op.Unsqueeze(weight, [1, 2, 3])
    return op.Squeeze(slope * sums, [1, 2, 3]), slope


@script(DOMAIN, default_opset=op)
def product_pull(activation: Tensor, slope: Tensor, target: Tensor) -> Tensor:
    """dL/dF = w v."""
    return slope * target


# --- The image itself -------------------------------------------------------------------------


@script(DOMAIN, default_opset=op)
def steps(image: Tensor) -> tuple[Tensor, Tensor]:
    """The differences to the next pixels down and to the right; zero at the edge."""
    down = op.Slice(image, [1], [2147483647], [2]) - op.Slice(image, [0], [-1], [2])
    right = op.Slice(image, [1], [2147483647], [3]) - op.Slice(image, [0], [-1], [3])
    return op.Pad(down, [0, 0, 0, 0, 0, 0, 1, 0]), op.Pad(right, [0, 0, 0, 0, 0, 0, 0, 1])


@script(DOMAIN, default_opset=op)
def total_variation_sums(image: Tensor, mask: Tensor) -> Tensor:
    """Sum (right^2 + down^2), (N, 1, 1, 1)."""
    down, right = steps(image)
    return op.ReduceSum((down * down + right * right) * mask, [1, 2, 3])


@script(DOMAIN, default_opset=op)
def total_variation_pull(image: Tensor, slope: Tensor) -> Tensor:
    """The derivative of :func:`.terms.total_variation_loss`."""
    _, pull = total_variation_loss(image, op.Squeeze(slope, [1, 2, 3]) * elements_of(image))
    return pull


@script(DOMAIN, default_opset=op)
def total_variation_beta_sums(image: Tensor, mask: Tensor, beta: float = 2.0) -> Tensor:
    """Sum (right^2 + down^2 + e)^(beta / 2), (N, 1, 1, 1)."""
    down, right = steps(image)
    square = down * down + right * right + SMALLEST_SQUARE
    return op.ReduceSum(op.Pow(square, beta / 2.0) * mask, [1, 2, 3])


@script(DOMAIN, default_opset=op)
def total_variation_beta_pull(image: Tensor, slope: Tensor, beta: float = 2.0) -> Tensor:
    """The derivative of :func:`.priors.total_variation_beta_loss`."""
    weight = op.Squeeze(slope, [1, 2, 3]) * elements_of(image)
    _, pull = total_variation_beta_loss(image, weight, beta=beta)
    return pull


@script(DOMAIN, default_opset=op)
def alpha_norm_sums(image: Tensor, mask: Tensor, alpha: float = 6.0) -> Tensor:
    """Sum |c|^alpha, (N, 1, 1, 1), of the centred image c."""
    centred = image - op.Reshape(op.Constant(value_floats=MEAN_COLOUR), [1, 3, 1, 1])
    return op.ReduceSum(op.Pow(centred * centred, alpha / 2.0) * mask, [1, 2, 3])


@script(DOMAIN, default_opset=op)
def alpha_norm_pull(image: Tensor, slope: Tensor, alpha: float = 6.0) -> Tensor:
    """The derivative of :func:`.priors.alpha_norm_loss`."""
    weight = op.Squeeze(slope, [1, 2, 3]) * elements_of(image)
    _, pull = alpha_norm_loss(image, weight, alpha=alpha)
    return pull
