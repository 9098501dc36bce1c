"""The PyTorch network behind a bundle, with the weights that the bundle has."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from nstbatch.runtime.bundles.bundle import Bundle

from . import backbones
from .weights import fill, read_state


def rebuild(bundle: Bundle) -> tuple[nn.Module, Mapping[str, str]]:
    """The network, as it was before its pooling was chosen, and its layers.

    Returns:
        The module, in eval mode and frozen, for images that are preprocessed; and for each layer
        the dotted path of the submodule whose output it is.

    Raises:
        UnknownNameError: The bundle is of no backbone that is known by name.
        BundleError: Its weights are not those of the backbone.
    """
    backbone = backbones.get(bundle.name)
    network = backbone.build()
    stored = read_state(bundle.weights_path)
    fill(network, {name: tensor.float() for name, tensor in stored.items()})
    return network, backbone.layers
