"""NNST in plain PyTorch, written from the paper: autograd, torch.optim, and no code of ours.

Only the network is that behind a bundle, see ``Reference`` in ``tests/conftest.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

# Rows of the matrix of distances that are computed at once.
ROWS = 2048


class NeuralNeighbors:
    """The objective and the optimiser of one size."""

    def __init__(self, network: Any, layers: Sequence[str], content_weight: float) -> None:
        """Take a ``Reference``, layers without the coarsest, and the weight of self-similarity."""
        self.network, self.layers, self.content_weight = network, layers, content_weight

    def columns(self, image: Tensor, most: int | None = None) -> Tensor:
        """(1, 3, H, W) -> (1, D, h, w): all layers at a quarter of the size, over their channels.

        ``most`` limits h and w.
        """
        seen = self.network.activations(image)
        height, width = (min(side // 4, most or side) for side in image.shape[2:])
        parts = [
            interpolate(seen[layer], (height, width), mode="bilinear") / seen[layer].shape[1]
            for layer in self.layers
        ]
        return torch.cat(parts, dim=1)

    @torch.no_grad()
    def targets(self, sought: Tensor, painting: Tensor) -> Tensor:
        """Replace each column of a picture by the painting's of the smallest centred distance."""
        queries = self.columns(sought)
        candidates = self.columns(painting).flatten(2)[0].T
        return candidates[self.nearest(queries.flatten(2)[0].T, candidates)].T.reshape(
            queries.shape
        )

    def nearest(self, queries: Tensor, candidates: Tensor) -> Tensor:
        """Rows (Q, D) and (P, D) -> for each query, the number of its nearest candidate."""
        queries, candidates = queries - queries.mean(0), candidates - candidates.mean(0)
        units = candidates / candidates.norm(dim=1, keepdim=True)
        found = []
        for part in queries.split(ROWS):
            distances = 1 - part @ units.T / part.norm(dim=1, keepdim=True)
            found.append(distances.argmin(dim=1))
        return torch.cat(found)

    def losses(self, image: Tensor, targets: Tensor, photo: Tensor) -> list[Tensor]:
        """Return both losses of an image; ``photo`` are the similarities of the photo."""
        cosine = torch.cosine_similarity(self.columns(image), targets, dim=1)
        matched = 1 - cosine.mean()
        if not self.content_weight:
            return [matched]
        difference = self.similarities(image) - photo
        return [matched, self.content_weight * difference.abs().mean()]

    def similarities(self, image: Tensor) -> Tensor:
        """Cosines of all pairs of columns at 32 by 32 places at most."""
        columns = self.columns(image, most=32).flatten(2)[0].T
        units = columns / columns.norm(dim=1, keepdim=True)
        return units @ units.T

    def descend(
        self, start: Tensor, targets: Tensor, photo: Tensor, steps: int, rate: float
    ) -> tuple[list[list[float]], Tensor]:
        """Take steps of Adam from an image.

        Returns the losses before each step and after the last, and the image.
        """
        with torch.no_grad():
            similarities = self.similarities(photo)
        pyramid = [part.requires_grad_() for part in decomposed(start)]
        adam = torch.optim.Adam(pyramid, lr=rate)
        curve = []
        for _ in range(steps):
            adam.zero_grad()
            losses = self.losses(composed(pyramid), targets, similarities)
            torch.stack(losses).sum().backward()
            adam.step()
            curve.append([loss.item() for loss in losses])
        with torch.no_grad():
            image = composed(pyramid)
            curve.append([loss.item() for loss in self.losses(image, targets, similarities)])
        return curve, image

    def gradient(self, image: Tensor, targets: Tensor, photo: Tensor) -> tuple[list[float], Tensor]:
        """Return the losses of an image, and the derivative of their sum in it."""
        variable = image.clone().requires_grad_()
        with torch.no_grad():
            similarities = self.similarities(photo)
        losses = self.losses(variable, targets, similarities)
        torch.stack(losses).sum().backward()
        assert variable.grad is not None
        return [loss.item() for loss in losses], variable.grad


def decomposed(image: Tensor) -> list[Tensor]:
    """A Laplacian pyramid, from fine to coarse: halved until the short side is below 8."""
    parts = []
    while len(parts) < 8 and (not parts or min(image.shape[2:]) >= 8):
        height, width = image.shape[2:]
        smaller = interpolate(image, (height // 2, width // 2), mode="bilinear")
        parts.append(image - interpolate(smaller, (height, width), mode="bilinear"))
        image = smaller
    return [*parts, image]


def composed(parts: Sequence[Tensor]) -> Tensor:
    """The picture of a pyramid."""
    image = parts[-1]
    for detail in reversed(parts[:-1]):
        image = detail + interpolate(image, detail.shape[2:], mode="bilinear")
    return image
