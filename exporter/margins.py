"""How far the decisions of a network are from going the other way.

The derivative of a ReLU jumps at zero, and that of a max pooling where two values of a window are
equal. That close to a jump PyTorch and ONNX Runtime, which round differently, may both be right
and yet disagree, and a single disagreement moves a gradient by 1e-3, where rounding alone moves it
by 3e-7. So gradients are compared on pictures without close decisions.

An exact tie is no close decision: in a flat area every program takes the first maximum.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

# Equal values come out of float64 at most this far apart, in units of the values' size.
TIE = 1e-12


@dataclass(frozen=True)
class Margin:
    """The closest decision of a network on an image."""

    size: float
    """In units of float32's rounding error there. Below 1, two programs may well disagree."""
    place: tuple[float, float]
    """Where in the image it is about, (down, right) in [0, 1]."""


def least_margin(network: nn.Module, image: Tensor, errors: Sequence[Tensor]) -> Margin:
    """The closest decision in float32, or one in float64 that is closer than ``errors`` are large.

    A decision has to be clear in both. Float32 alone may turn a close decision into a tie, float64
    alone does not see a tie that float32 broke.

    Args:
        network: A float32 network in eval mode; it is left as it was.
        image: (1, 3, H, W).
        errors: Of :func:`rounding_errors`.
    """
    margin = _least(_decisions(network, image), errors)
    if margin.size < 1:
        return margin  # float64 takes longer
    return min(margin, _least(_exact_decisions(network, image), errors), key=lambda m: m.size)


def rounding_errors(network: nn.Module, images: Tensor) -> list[Tensor]:
    """Float32's rounding error in what each decision is about, in the order of execution.

    It is measured against float64, as the root mean square over images and positions, (C, 1...).

    Args:
        network: A float32 network in eval mode; it is left as it was.
        images: (N, 3, H, W), typical ones.
    """
    rough, exact = _decisions(network, images), _exact_decisions(network, images)
    return [_root_mean_square(r.values - e.values) for r, e in zip(rough, exact, strict=True)]


def _root_mean_square(error: Tensor) -> Tensor:
    """Of each channel, or of all together if that is more: a few positions may be right by luck."""
    squares = error.square().mean(dim=(0, *range(2, error.ndim)), keepdim=True)[0]
    return squares.clamp(min=squares.mean()).sqrt()


def _least(decisions: Sequence[Decision], errors: Sequence[Tensor]) -> Margin:
    least = Margin(math.inf, (0.5, 0.5))
    for decision, error in zip(decisions, errors, strict=True):
        sizes = (decision.gaps() / error)[0]
        smallest = sizes.argmin()
        if sizes.flatten()[smallest] < least.size:
            _, *indices = torch.unravel_index(smallest, sizes.shape)
            place = [(int(i) + 0.5) / n for i, n in zip(indices, sizes.shape[1:], strict=True)]
            down, right = place or (0.5, 0.5)
            least = Margin(float(sizes.flatten()[smallest]), (down, right))
    return least


# --- Decisions --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Decision:
    """What one operator decides on: the signs of its inputs or, if it has windows, their maxima."""

    values: Tensor
    """(N, C, ...)."""
    kernel: Sequence[int] = ()
    stride: Sequence[int] = ()
    padding: Sequence[int] = ()

    def gaps(self) -> Tensor:
        """How far from the next value that would be decided otherwise, (N, C, ...) above 0.

        Infinite for a tie, and where nothing is to be decided.
        """
        gaps = self._gaps_in_windows() if self.kernel else self.values.abs()
        return torch.where(gaps > 0, gaps, math.inf).flatten(4).amin(-1) if self.kernel else torch.where(gaps > 0, gaps, math.inf)
