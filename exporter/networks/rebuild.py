"""Rebuilds the PyTorch network of a bundle, with the bundle's weights."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from nstbatch.runtime.bundles.bundle import Bundle

from . import backbones
from .weights import fill, read_state


def rebuild(bundle: Bundle) -> tuple[nn.Module, Mapping[str, str]]:
    """The network with its original pooling, and its layers.

    Returns:
        The module for preprocessed images, in eval mode and frozen; and for each layer the dotted
        path of the submodule whose output it is.

    Raises:
        UnknownNameError: The bundle's network is not one known by name.
        BundleError: The bundle's weights do not fit the network.
    """
    backbone = backbones.get(bundle.name)
    network = backbone.build()
    stored = read_state(bundle.weights_path)
    fill(network, {name: tensor.float() for name, tensor in stored.items()})
    return network, backbone.layers
