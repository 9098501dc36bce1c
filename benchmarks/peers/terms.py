"""The terms of the objectives in PyTorch, a formula each; their derivatives are autograd's.

They are those of :mod:`.terms` and its neighbours, written anew, for one weight of
1 and for (N, ...) pictures: what comes out is (N,).
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


def energy_loss(activation: Tensor, chosen: Tensor) -> Tensor:
    """Minus half the mean of t F^2, t (1, C, 1, 1) being 1 for the channels that count."""
    return -0.5 * (chosen * activation**2).flatten(1).mean(1)


def total_variation(image: Tensor) -> Tensor:
    """Squares of the steps to the next pixel below and to the right, over all pixels."""
    below = (image[:, :, 1:] - image[:, :, :-1]) ** 2
    right = (image[:, :, :, 1:] - image[:, :, :, :-1]) ** 2
    return (below.flatten(1).sum(1) + right.flatten(1).sum(1)) / image[0].numel()


def alpha_norm(image: Tensor, alpha: float) -> Tensor:
    """Mean |x - mean colour|^alpha; of the square, since a cube is quicker than a sixth power."""
    centred = image - image.new_tensor(MEAN_COLOUR).reshape(3, 1, 1)
    return ((centred**2) ** (alpha / 2)).flatten(1).mean(1)


TARGETS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "content": lambda activation: activation,
    "style": gram_matrix,
}
"""What a reference picture leaves behind, by the kind of term. These losses are relative to it."""

LOSSES: Mapping[str, Callable[..., Tensor]] = {
    "content": content_loss,
    "style": style_loss,
    "energy": energy_loss,
    "tv": total_variation,
    "alpha-norm": alpha_norm,
}
"""Of an activation or of the image, a target if the term has one, and the term's attributes."""
