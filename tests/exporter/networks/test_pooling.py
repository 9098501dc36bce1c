import pytest
import torch
from torch import nn

from nstbatch.exporter.networks import backbones
from nstbatch.exporter.networks.pooling import use_pooling
from nstbatch.runtime.errors import UsageError


def kinds(network):
    return {type(module) for module in network.modules()}


def test_max_becomes_average_with_the_same_windows():
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.MaxPool2d(3, 2, 1, ceil_mode=True))
    swapped = use_pooling(network, "avg")
    average = swapped[1]
    assert isinstance(average, nn.AvgPool2d)
    assert (average.kernel_size, average.stride, average.padding) == (3, 2, 1)
    image = torch.rand(1, 3, 10, 12)
    assert swapped(image).shape == network(image).shape


def test_padding_does_not_darken_the_border():
    swapped = use_pooling(nn.Sequential(nn.MaxPool2d(3, 2, 1, ceil_mode=True)), "avg")
    torch.testing.assert_close(swapped(torch.ones(1, 1, 7, 8)), torch.ones(1, 1, 4, 5))


def test_average_becomes_max_and_back():
    network = nn.Sequential(nn.AvgPool2d((2, 3), stride=(1, 2), padding=(0, 1), ceil_mode=True))
    swapped = use_pooling(network, "max")
    image = torch.rand(1, 1, 9, 9)
    expected = nn.MaxPool2d((2, 3), (1, 2), (0, 1), ceil_mode=True)(image)
    assert torch.equal(swapped(image), expected)
    assert torch.equal(use_pooling(swapped, "max")(image), expected)
    assert kinds(use_pooling(swapped, "avg")) == {nn.Sequential, nn.AvgPool2d}


def test_the_original_is_left_alone():
    network = nn.Sequential(nn.Sequential(nn.MaxPool2d(2)))
    use_pooling(network, "avg")
    assert nn.MaxPool2d in kinds(network)


def test_a_module_under_two_names_is_swapped_under_both():
    pool = nn.MaxPool2d(2)
    swapped = use_pooling(nn.Sequential(pool, nn.ReLU(), pool), "avg")
    assert kinds(swapped) == {nn.Sequential, nn.ReLU, nn.AvgPool2d}


@pytest.mark.parametrize("name", ["vgg16", "googlenet", "resnet18"])
def test_a_backbone_keeps_its_weights_and_its_global_pooling(name):
    network = backbones.get(name).build()
    swapped = use_pooling(network, "avg")
    assert nn.MaxPool2d not in kinds(swapped)
    assert (nn.AdaptiveAvgPool2d in kinds(swapped)) == (nn.AdaptiveAvgPool2d in kinds(network))
    before, after = network.state_dict(), swapped.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert kinds(use_pooling(network, "max")) == kinds(network)


@pytest.mark.parametrize(
    "pool", [nn.MaxPool2d(2, dilation=2), nn.MaxPool2d(2, return_indices=True)]
)
def test_a_pooling_without_an_average_is_refused(pool):
    with pytest.raises(UsageError, match="no average pooling for MaxPool2d"):
        use_pooling(nn.Sequential(pool), "avg")
