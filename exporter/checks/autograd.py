"""The expected outputs of a bundle's graphs, from PyTorch's autograd.

The rules for deconvnets and guided backpropagation are written a second time here, as changes to
ReLU itself. They share no code with :mod:`nstbatch.exporter.rules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from nstbatch.exporter.rules import ReluRule


def vector_jacobian_product(
    network: nn.Module, image: Tensor, cotangents: Sequence[Tensor], relu: ReluRule
) -> tuple[tuple[Tensor, ...], Tensor]:
    """The layers' activations, and the gradient of the image from their cotangents.

    Args:
        network: image (N, 3, H, W) -> one activation per layer.
        image: (N, 3, H, W).
        cotangents: One per layer, of the activation's shape.
        relu: Rule for every ReLU on the way back.
    """
    image = image.detach().requires_grad_()
    with _relu_mode(relu):
        activations = network(image)
    (gradient,) = torch.autograd.grad(activations, image, cotangents)
    return tuple(activation.detach() for activation in activations), gradient


def _relu_mode(relu: ReluRule) -> AbstractContextManager[object]:
    match relu:
        case ReluRule.GRADIENT:
            return nullcontext()
        case ReluRule.DECONV:
            return _ReluAs(_DeconvRelu)
        case ReluRule.GUIDED:
            return _ReluAs(_GuidedRelu)


class _DeconvRelu(torch.autograd.Function):
    """Zeiler & Fergus 2014, section 2.1: the backward pass is a ReLU too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, *g: Tensor) -> Tensor:
        return g[0].clamp(min=0)


class _GuidedRelu(torch.autograd.Function):
    """Springenberg et al. 2015, section 3.4: also zero where the forward pass was zero."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, *g: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return torch.where(x > 0, g[0].clamp(min=0), 0.0)


class _ReluAs(TorchFunctionMode):
    """Replaces every ReLU by an autograd function."""

    RELUS = frozenset(
        {functional.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, functional.relu_}
    )

    def __init__(self, function: type[torch.autograd.Function]) -> None:
        super().__init__()
        self.function = function

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in self.RELUS:
            return self.function.apply(args[0])  # type: ignore[no-untyped-call]
        return func(*args, **(kwargs or {}))
