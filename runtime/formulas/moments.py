"""The style loss on means and standard deviations of channels, as ONNX.

Li, Wang, Liu & Hou 2017, "Demystifying Neural Style Transfer", call it the matching of batch
normalisation statistics. :mod:`nstbatch.runtime.objectives.terms` documents inputs and outputs.
"""

from __future__ import annotations

import onnxscript
from onnxscript import FLOAT, script

from .notation import Tensor, op
from .scaled import scaled_error, squared_error

DOMAIN = onnxscript.values.Opset("nstbatch.moments", 1)


@script(DOMAIN, default_opset=op)
def centred(activation: Tensor) -> tuple[Tensor, Tensor]:
    """Features less their means, (N, C, H W), and the means over positions, (N, C, 1)."""
    features = op.Reshape(activation, [0, 0, -1])
    means = op.ReduceMean(features, [2])
    return features - means, means


@script(DOMAIN, default_opset=op)
def centred_within(activation: Tensor, guide: Tensor) -> tuple[Tensor, Tensor]:
    """The same of F, from g F and g: g (F - m), and the means m by the weights g^2.

    A guide g (N, 1, h, w) has a mean square of 1.
    """
    features, share = op.Reshape(activation, [0, 0, -1]), op.Reshape(guide, [0, 0, -1])
    means = op.ReduceMean(features * share, [2])
    return features - means * share, means


@script(DOMAIN, default_opset=op)
def moments_of(deviations: Tensor, means: Tensor) -> Tensor:
    """Mean and standard deviation of each channel, (N, 2, C); the variance is at least 1e-8.

    The small number, a guess, keeps the derivative of a channel without variance finite.
    """
    variances = op.ReduceMean(deviations * deviations, [2]) + 1e-8
    return op.Transpose(op.Concat(means, op.Sqrt(variances), axis=2), perm=[0, 2, 1])


@script(DOMAIN, default_opset=op)
def moments(activation: Tensor) -> Tensor:
    """The moments of each channel, (N, 2, C)."""
    deviations, means = centred(activation)
    return moments_of(deviations, means)


@script(DOMAIN, default_opset=op)
def moments_within(activation: Tensor, guide: Tensor) -> Tensor:
    """The moments of each channel by the weights of a guide, (N, 2, C)."""
    deviations, means = centred_within(activation, guide)
    return moments_of(deviations, means)


@script(DOMAIN, default_opset=op)
def slopes_of(slope: Tensor, found: Tensor) -> tuple[Tensor, Tensor]:
    """The derivatives in m, and in F - m without its own factor: dm and ds / s, (N, C, 1)."""
    of_mean, of_deviation = op.Split(op.Transpose(slope, perm=[0, 2, 1]), num_outputs=2, axis=2)
    _, deviation = op.Split(op.Transpose(found, perm=[0, 2, 1]), num_outputs=2, axis=2)
    return of_mean, of_deviation / deviation


@script(DOMAIN, default_opset=op)
def moments_back(activation: Tensor, found: Tensor, slope: Tensor) -> Tensor:
    """The derivative in F, from that in the moments m and s: (dm + ds (F - m) / s) / (H W)."""
    deviations, _ = centred(activation)
    of_mean, of_deviation = slopes_of(slope, found)
    positions = op.Cast(op.ReduceProd(op.Shape(activation, start=2)), to=FLOAT.dtype)
    back = (of_mean + of_deviation * deviations) / positions
    return op.Reshape(back, op.Shape(activation))


@script(DOMAIN, default_opset=op)
def moments_back_within(activation: Tensor, guide: Tensor, found: Tensor, slope: Tensor) -> Tensor:
    """The derivative in g F: (g dm + ds g (F - m) / s) / (H W)."""
    deviations, _ = centred_within(activation, guide)
    of_mean, of_deviation = slopes_of(slope, found)
    positions = op.Cast(op.ReduceProd(op.Shape(activation, start=2)), to=FLOAT.dtype)
    share = op.Reshape(guide, [0, 0, -1])
    back = (of_mean * share + of_deviation * deviations) / positions
    return op.Reshape(back, op.Shape(activation))


@script(DOMAIN, default_opset=op)
def moments_loss(activation: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """L = w mean (M - M*)^2, over the 2 C moments M."""
    found = moments(activation)
    loss, slope = squared_error(found, target, weight)
    return loss, moments_back(activation, found, slope)


@script(DOMAIN, default_opset=op)
def moments_loss_within(
    activation: Tensor, target: Tensor, weight: Tensor, guide: Tensor
) -> tuple[Tensor, Tensor]:
    """The same by the weights of a guide."""
    found = moments_within(activation, guide)
    loss, slope = squared_error(found, target, weight)
    return loss, moments_back_within(activation, guide, found, slope)


@script(DOMAIN, default_opset=op)
def scaled_moments_loss(
    activation: Tensor, target: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """L = E(M - M*), the scaled squared error of the moments; see :mod:`.scaled`."""
    found = moments(activation)
    loss, slope = scaled_error(found - target, weight)
    return loss, moments_back(activation, found, slope)


@script(DOMAIN, default_opset=op)
def scaled_moments_loss_within(
    activation: Tensor, target: Tensor, weight: Tensor, guide: Tensor
) -> tuple[Tensor, Tensor]:
    """The same by the weights of a guide."""
    found = moments_within(activation, guide)
    loss, slope = scaled_error(found - target, weight)
    return loss, moments_back_within(activation, guide, found, slope)
