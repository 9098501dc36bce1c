"""The terms of the objectives in PyTorch, one formula each; autograd gives the derivatives.

They are written independently of :mod:`nstbatch.runtime.objectives`. Each has the weight 1, takes N
pictures and gives losses (N,).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

# ImageNet's mean, RGB, as in torchvision's transforms.
MEAN_COLOUR = (0.485, 0.456, 0.406)


def gram_matrix(activation: Tensor) -> Tensor:
    """(N, C, H, W) -> F F^T / (C H W), (N, C, C)."""
    features = activation.flatten(2)
    return features @ features.mT / activation[0].numel()


def content_loss(activation: Tensor, target: Tensor) -> Tensor:
    """Mean (F - P)^2."""
    return ((activation - target) ** 2).flatten(1).mean(1)


def style_loss(activation: Tensor, target: Tensor) -> Tensor:
    """Mean (G - A)^2."""
    return ((gram_matrix(activation) - target) ** 2).flatten(1).mean(1)


def scaled_error(difference: Tensor) -> Tensor:
    """Sum D^2 / sum |D|."""
    flat = difference.flatten(1)
    return (flat**2).sum(1) / (flat.abs().sum(1) + 1e-8)


def scaled_content_loss(activation: Tensor, target: Tensor) -> Tensor:
    """The scaled error of F - P."""
    return scaled_error(activation - target)


def scaled_style_loss(activation: Tensor, target: Tensor) -> Tensor:
    """The scaled error of G - A."""
    return scaled_error(gram_matrix(activation) - target)


def energy_loss(activation: Tensor, chosen: Tensor) -> Tensor:
    """Minus half the mean of t F^2; t (1, C, 1, 1) is 1 for the channels that count."""
    return -0.5 * (chosen * activation**2).flatten(1).mean(1)


def total_variation(image: Tensor) -> Tensor:
    """Squared differences to the next pixels below and right, divided by the number of values."""
    below = (image[:, :, 1:] - image[:, :, :-1]) ** 2
    right = (image[:, :, :, 1:] - image[:, :, :, :-1]) ** 2
    return (below.flatten(1).sum(1) + right.flatten(1).sum(1)) / image[0].numel()


def alpha_norm(image: Tensor, alpha: float) -> Tensor:
    """Mean |x - mean colour|^alpha, as a power of the square: x^3 is faster than x^6."""
    centred = image - image.new_tensor(MEAN_COLOUR).reshape(3, 1, 1)
    return ((centred**2) ** (alpha / 2)).flatten(1).mean(1)


TARGETS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "content": lambda activation: activation,
    "style": gram_matrix,
    "scaled-content": lambda activation: activation,
    "scaled-style": gram_matrix,
}
"""Target from the activation of a reference picture, by kind of term; its losses are relative."""

DEGREES: Mapping[str, int] = {"content": 2, "style": 2, "scaled-content": 1, "scaled-style": 1}
"""A loss is divided by the mean of |target|^degree, by kind of term."""

LOSSES: Mapping[str, Callable[..., Tensor]] = {
    "content": content_loss,
    "style": style_loss,
    "scaled-content": scaled_content_loss,
    "scaled-style": scaled_style_loss,
    "energy": energy_loss,
    "tv": total_variation,
    "alpha-norm": alpha_norm,
}
"""Loss by kind of term: of an activation or the image, a target if any, and the attributes."""
