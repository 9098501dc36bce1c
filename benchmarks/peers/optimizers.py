"""Optimisers of the baselines: PyTorch's own, and the normalised gradient, which it lacks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nstbatch.benchmarks.tasks.tasks import AdamSettings, LBFGSSettings, OptimizerSettings

# Avoids a division by zero: a gradient of zeros then makes no step.
TINY = torch.finfo(torch.float32).tiny


def open_optimizer(settings: OptimizerSettings, images: Tensor) -> Callable[[Tensor], object]:
    """Make a function that moves images (N, 3, H, W) down their gradient, given losses (N,)."""
    if isinstance(settings, AdamSettings):
        adam = torch.optim.Adam([images], settings.learning_rate, settings.betas, settings.epsilon)
        return lambda losses: adam.step()
    if isinstance(settings, LBFGSSettings):
        return _LBFGS(settings, images)
    return lambda losses: _normalized_step(images, settings.learning_rate)


class _LBFGS:
    """``torch.optim.LBFGS`` for each picture, one step at a time, without a line search.

    One optimiser keeps one history for all that it moves, but the pictures of a batch are
    independent. Unlike ours it knows no bounds: pixels are clamped after its step.
    """

    def __init__(self, settings: LBFGSSettings, images: Tensor) -> None:
        self._images = images
        self._pictures = list(torch.split(images.detach(), 1))  # views of the images
        self._optimizers = [
            torch.optim.LBFGS(
                [picture],
                settings.learning_rate,
                max_iter=1,
                history_size=settings.history,
                tolerance_grad=0,
                tolerance_change=0,
            )
            for picture in self._pictures
        ]

    def __call__(self, losses: Tensor) -> None:
        assert self._images.grad is not None
        gradients = torch.split(self._images.grad, 1)
        for i, optimizer in enumerate(self._optimizers):
            self._pictures[i].grad = gradients[i]
            # The gradient is already set, so the closure only returns the loss.
            optimizer.step(lambda loss=losses[i]: loss)  # type: ignore[no-untyped-call]


@torch.no_grad()
def _normalized_step(images: Tensor, learning_rate: float) -> None:
    """The gradient of each picture divided by its mean absolute value (google/deepdream)."""
    assert images.grad is not None
    size = images.grad.abs().mean((1, 2, 3), keepdim=True).clamp_min(TINY)
    images -= learning_rate * images.grad / size
