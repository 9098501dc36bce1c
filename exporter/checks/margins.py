"""Measures how close the decisions of a network are to going the other way.

The derivative of a ReLU jumps at zero, and that of a max pooling jumps where two values of a window
are equal. PyTorch and ONNX Runtime round differently, so close to a jump both may be right and
still disagree. One such disagreement changes a gradient by 1e-3; rounding alone changes it by 1e-6.
So gradients are compared on pictures without close decisions.

An exact tie is not a close decision: in a flat area both programs take the first maximum.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

# A decision is clear from this many rounding errors on. Of a million decisions on a picture a few
# are closer. With normally distributed errors, one of the clear decisions would go the other way
# once in 10^5 pictures.
CLEAR = 4.0

# Largest difference that float64 makes between equal values, relative to the values' size. A guess.
TIE = 1e-12


@dataclass(frozen=True)
class Margin:
    """The closest decision of a network on an image."""

    size: float
    """Distance from the jump, in units of float32's rounding error at that point of the network."""
    place: tuple[float, float]
    """Its place in the image: down and to the right, each from 0 to 1."""

    @property
    def is_clear(self) -> bool:
        """True if every program should come to the same decisions."""
        return self.size >= CLEAR


def least_margin(network: nn.Module, image: Tensor, errors: Sequence[Tensor]) -> Margin:
    """The closest decision on an image (1, 3, H, W).

    Args:
        network: A float32 network in eval mode; it is not changed.
        image: float32.
        errors: The network's :func:`rounding_errors`.
    """
    least = Margin(math.inf, (0.5, 0.5))
    for decision, error in zip(_exact_decisions(network, image), errors, strict=True):
        sizes = (decision.gaps() / error)[0]
        smallest = sizes.argmin()
        size = float(sizes.flatten()[smallest])
        if size < least.size:
            _, *position = torch.unravel_index(smallest, sizes.shape)
            least = Margin(size, _place([int(i) for i in position], sizes.shape[1:]))
    return least


def rounding_errors(network: nn.Module, images: Tensor) -> list[Tensor]:
    """Float32's rounding error in the values of each decision, in the order of execution.

    It is measured against float64: the root mean square over images and positions, (C, 1...).

    Args:
        network: A float32 network in eval mode; it is not changed.
        images: (N, 3, H, W), typical images.
    """
    rough, exact = _decisions(network, images), _exact_decisions(network, images)
    return [_root_mean_square(r.values - e.values) for r, e in zip(rough, exact, strict=True)]


def _root_mean_square(error: Tensor) -> Tensor:
    """The error of each channel, at least that of all: a few positions may be right by luck."""
    squares = error.square().mean(dim=(0, *range(2, error.ndim)), keepdim=True)[0]
    return squares.clamp(min=squares.mean()).sqrt()


def _place(position: Sequence[int], shape: Sequence[int]) -> tuple[float, float]:
    if len(position) != 2:  # a layer without positions
        return 0.5, 0.5
    return (position[0] + 0.5) / shape[0], (position[1] + 0.5) / shape[1]


# --- Decisions --------------------------------------------------------------------------------


class Decision(Protocol):
    """The decisions of one operator, one for every position."""

    @property
    def values(self) -> Tensor:
        """The values that it decides on, (N, C, ...)."""

    def gaps(self) -> Tensor:
        """The change that would turn each decision, (N, C, ...); infinite for ties."""


@dataclass(frozen=True)
class Sign:
    """The decisions of a ReLU: on which side of zero its inputs are."""

    values: Tensor

    def gaps(self) -> Tensor:
        """The distance of each input (N, C, ...) from zero."""
        return _infinite_up_to(0.0, self.values.abs())


@dataclass(frozen=True)
class Switch:
    """The decisions of a max pooling: which value of a window is the first maximum."""

    values: Tensor
    kernel: Sequence[int]
    stride: Sequence[int]
    padding: Sequence[int]

    def gaps(self) -> Tensor:
        """The distance of the next value of each window (N, C, H', W') below its maximum."""
        k, s, p = (_pair(values) for values in (self.kernel, self.stride, self.padding))
        # Ceil mode lets the last window reach over the end.
        margins = (p[1], p[1] + s[1] - 1, p[0], p[0] + s[0] - 1)
        padded = functional.pad(self.values, margins, value=-math.inf)
        windows = padded.unfold(2, k[0], s[0]).unfold(3, k[1], s[1]).flatten(-2)
        below = windows.amax(-1, keepdim=True) - windows
        tie = TIE * float(self.values.square().mean().sqrt())
        return _infinite_up_to(tie, below).amin(-1)


def _infinite_up_to(tie: float, gaps: Tensor) -> Tensor:
    return torch.where(gaps > tie, gaps, math.inf)  # also for NaN, from windows beyond the end


def _pair(values: Sequence[int]) -> tuple[int, int]:
    """A pair, also from the [k] that ATen sometimes writes for (k, k)."""
    return (values[0], values[-1])


# --- Watching ---------------------------------------------------------------------------------


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the decisions of every operator that runs under it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.decisions: list[Decision] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        match func.overloadpacket.__name__.rstrip("_"):
            case "relu" | "leaky_relu" | "_prelu_kernel":
                self.decisions.append(Sign(args[0].clone()))  # the original may be overwritten
            case "max_pool2d_with_indices":
                self.decisions.append(_switch(*args))
        return func(*args, **(kwargs or {}))


def _switch(
    values: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    *rest: object,
) -> Switch:
    return Switch(values.clone(), kernel, stride or kernel, padding)


def _decisions(network: nn.Module, images: Tensor) -> list[Decision]:
    watch = _Watch()
    with torch.no_grad(), watch:
        network(images)
    return watch.decisions


def _exact_decisions(network: nn.Module, images: Tensor) -> list[Decision]:
    with _in_float64(network):
        return _decisions(network, images.double())


@contextmanager
def _in_float64(network: nn.Module) -> Iterator[None]:
    network.double()
    try:
        yield
    finally:
        network.float()  # restores exactly the same values
