"""Rebuilt networks of bundles, for the tests of the graphs and the benchmark's baselines."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from nstbatch.exporter.networks.rebuild import rebuild
from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.errors import BundleError, UnknownNameError


@pytest.mark.parametrize("name", ["vgg16", "alexnet", "squeezenet1_1"])
def test_a_network_has_the_weights_of_its_bundle(name):
    bundle = Bundle.load(name)
    network, layers = rebuild(bundle)
    for key, stored in load_file(bundle.weights_path).items():
        assert torch.equal(network.state_dict()[key], stored.float())
    assert set(bundle.layer_names) <= set(layers)
    assert all(network.get_submodule(layers[layer]) for layer in bundle.layer_names)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_a_network_of_ones_own_is_not_known():
    with pytest.raises(UnknownNameError, match="mynet"):
        rebuild(replace(Bundle.load("alexnet"), name="mynet"))


def test_another_network_of_a_known_name_is_noticed():
    with pytest.raises(BundleError, match="Wrong weights"):
        rebuild(replace(Bundle.load("alexnet"), name="vgg16"))
