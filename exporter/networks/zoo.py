"""What is taken from torchvision: definitions of networks, class names, addresses of weights."""

from __future__ import annotations

import importlib
from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from nstbatch.runtime.errors import UsageError

from .downloaded import DownloadedWeights


def models() -> Any:
    """``torchvision.models``, also beside a torch that torchvision's compiled part does not fit."""
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
            f"The exporter needs torchvision ({error}): pip install 'nstbatch[export]'."
        ) from error


def declare_operators() -> None:
    """Declare the two operators that torchvision's import describes without having loaded them.

    Its compiled part is missing or was built for another torch, and then ``import torchvision``
    fails with "operator torchvision::nms does not exist". No classifier needs either of them.
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
    # V1 where there are two: those that the literature on these networks used.
    url = models().get_model_weights(name)["IMAGENET1K_V1"].url
    return DownloadedWeights(url, "torchvision's IMAGENET1K_V1", "BSD-3-Clause")


def convolutional(name: str) -> nn.Module:
    """A torchvision network up to its last pooling, with random weights.

    The fully connected layers behind it hold nine tenths of a VGG. Built on the meta device, they
    never take memory. The names of the rest are those of torchvision's weights.
    """
    with torch.device("meta"):
        whole = getattr(models(), name)(weights=None)
    network = nn.Sequential(OrderedDict(features=whole.features)).to_empty(device="cpu")
    return prepared(_initialised(network))


def whole(name: str, **options: object) -> nn.Module:
    """A torchvision network, classifier and all, with random weights."""
    return prepared(_initialised(getattr(models(), name)(weights=None, **options)))


def _initialised(network: nn.Module) -> nn.Module:
    """Random weights that keep the size of activations through any depth (He et al. 2015)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


def prepared(network: nn.Module) -> nn.Module:
    """The network itself, in eval mode, frozen, and with no module that works in place.

    An in-place ReLU would overwrite the activation in front of it, which may be a layer.
    """
    for module in network.modules():
        if getattr(module, "inplace", False) is True:
            module.inplace = False  # type: ignore[assignment]
    return network.eval().requires_grad_(False)
