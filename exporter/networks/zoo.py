"""Torchvision's part: definitions of networks, class names, addresses of weights."""

from __future__ import annotations

import importlib
from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.installing import install_command

from .downloaded import DownloadedWeights


def models() -> Any:
    """``torchvision.models``, even if torchvision's compiled part does not fit this torch."""
    try:
        try:
            return importlib.import_module("torchvision.models")
        except RuntimeError as error:
            if "torchvision::" not in str(error):
                raise
            declare_operators()
            return importlib.import_module("torchvision.models")
    except ImportError as error:
        raise UsageError(
            f"The exporter needs torchvision ({error}): {install_command('export')}"
        ) from error


def declare_operators() -> None:
    """Declare two operators that ``import torchvision`` expects from its compiled part.

    If that part is missing or built for another torch, the import fails with "operator
    torchvision::nms does not exist". No classifier needs either operator.
    """
    for operator in ("nms", "qnms"):
        torch.library.define(
            f"torchvision::{operator}",
            "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        )


def imagenet_classes() -> tuple[str, ...]:
    """The 1000 classes of ImageNet, in the order of every classifier trained on it."""
    models()
    meta = importlib.import_module("torchvision.models._meta")
    return tuple(meta._IMAGENET_CATEGORIES)


def weights(name: str) -> DownloadedWeights:
    """Torchvision's own weights of one of its networks."""
    # V1 where there are two versions: the literature on these networks used it.
    url = models().get_model_weights(name)["IMAGENET1K_V1"].url
    return DownloadedWeights(url, "torchvision's IMAGENET1K_V1", "BSD-3-Clause")


def convolutional(name: str) -> nn.Module:
    """A torchvision network up to its last pooling, with random weights.

    The fully connected layers behind it are nine tenths of a VGG. They are built on the meta device
    and never take memory. The other parts keep torchvision's names, as in its weights files.
    """
    with torch.device("meta"):
        whole = getattr(models(), name)(weights=None)
    network = nn.Sequential(OrderedDict(features=whole.features)).to_empty(device="cpu")
    return prepared(_initialised(network))


def whole(name: str, **options: object) -> nn.Module:
    """A whole torchvision network with its classifier, with random weights."""
    return prepared(_initialised(getattr(models(), name)(weights=None, **options)))


def _initialised(network: nn.Module) -> nn.Module:
    """Set random weights that keep the size of activations at any depth (He et al. 2015)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


def prepared(network: nn.Module) -> nn.Module:
    """Put the network in eval mode, freeze it, and stop its modules from working in place.

    An in-place ReLU would overwrite the activation before it, which may be a layer.
    """
    for module in network.modules():
        if getattr(module, "inplace", False) is True:
            module.inplace = False  # type: ignore[assignment]
    return network.eval().requires_grad_(False)
