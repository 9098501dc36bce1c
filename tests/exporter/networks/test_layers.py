import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from nstbatch.exporter.networks import backbones
from nstbatch.exporter.networks.layers import activations, measure
from nstbatch.runtime.bundles.bundle import Layer
from nstbatch.runtime.errors import UsageError


def measured(network, *paths):
    return measure(network.eval(), {path: path for path in paths})


# --- Activations ------------------------------------------------------------------------------


class Wandering(nn.Module):
    """Runs its parts in another order than defined, one of them twice and one never."""

    def __init__(self):
        super().__init__()
        self.last = nn.Conv2d(4, 5, 1)
        self.first = nn.Conv2d(3, 4, 1)
        self.twice = nn.ReLU()
        self.never = nn.ReLU()
        self.overwritten = nn.Conv2d(3, 4, 1)
        self.pair = Pair()

    def forward(self, image):
        overwritten = functional.relu(self.overwritten(image), inplace=True)
        return self.twice(
            self.last(self.twice(self.first(image)) + overwritten + self.pair(image)[0])
        )


class Pair(nn.Module):
    def forward(self, image):
        return image.mean(), image


def test_activations_come_in_the_order_of_execution():
    network = Wandering()
    paths = ["last", "first", "twice"]
    outputs = activations(network, paths, torch.rand(1, 3, 8, 8))
    assert list(outputs) == ["first", "last", "twice"]
    assert torch.equal(outputs["twice"], outputs["last"].relu())


def test_what_is_no_activation_is_left_out():
    outputs = activations(Wandering(), ["never", "overwritten", "pair"], torch.rand(1, 3, 8, 8))
    assert outputs == {}


def test_no_hook_stays_behind():
    network = Wandering()
    activations(network, ["last", "first"], torch.rand(1, 3, 8, 8))
    with pytest.raises(UsageError, match=r"shape \(1, 5, 8, 8\)"):
        activations(network, ["last", "first"], torch.rand(1, 5, 8, 8))
    assert not any(module._forward_hooks for module in network.modules())


# --- Measuring --------------------------------------------------------------------------------


def test_vgg16_is_as_published():
    # Receptive fields as in https://distill.pub/2019/computing-receptive-fields, VGG-16: 212.
    backbone = backbones.get("vgg16")
    layers = {layer.name: layer for layer in measure(backbone.build(), backbone.layers)}
    assert list(layers) == list(backbone.layers)
    assert layers["relu1_1"] == Layer("relu1_1", 64, 1, 3)
    assert layers["relu3_1"] == Layer("relu3_1", 256, 4, 24)
    assert layers["relu5_1"] == Layer("relu5_1", 512, 16, 132)
    assert layers["pool5"] == Layer("pool5", 512, 32, 212)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("alexnet", Layer("pool5", 256, 32, 195)),  # the same page
        ("squeezenet1_1", Layer("fire5/concat", 256, 8, 63)),
        ("squeezenet1_1", Layer("pool10", 1000, None, None)),
        ("resnet18", Layer("layer4.1", 512, 32, 435)),
        ("resnet18", Layer("logits", 1000, None, None)),
    ],
)
def test_other_backbones(name, expected):
    backbone = backbones.get(name)
    layers = {expected.name: backbone.layers[expected.name]}
    assert measure(backbone.build(), layers) == (expected,)


windows = st.tuples(
    st.sampled_from(["conv", "max", "avg"]),
    st.integers(1, 5),  # kernel
    st.integers(1, 3),  # stride
    st.integers(1, 2),  # dilation
)


@settings(max_examples=40, deadline=None)
@given(st.lists(windows, min_size=1, max_size=4))
def test_a_chain_of_windows_follows_the_formula(chain):
    """r' = r + (k - 1) d j, j' = j s (Dumoulin & Visin 2016)."""
    modules, field, jump = [], 1, 1
    for kind, kernel, stride, dilation in chain:
        padding = kernel // 2
        if kind == "conv":
            modules.append(nn.Conv2d(3, 3, kernel, stride, padding, dilation))
        elif kind == "max":
            modules.append(nn.MaxPool2d(kernel, stride, padding, dilation))
        else:
            dilation = 1
            modules.append(nn.AvgPool2d(kernel, stride, padding))
        field += (kernel - 1) * dilation * jump
        jump *= stride
    assume(jump <= 24)  # see TALLER
    (layer,) = measured(nn.Sequential(*modules), str(len(chain) - 1))
    assert layer == Layer(str(len(chain) - 1), 3, jump, field)


class Branches(nn.Module):
    """A network with a sum, a concatenation and a pooling by function, all without modules."""

    def __init__(self):
        super().__init__()
        self.wide = nn.Conv2d(3, 4, 7, padding=3)
        self.dead = nn.Conv2d(3, 4, 3, padding=1)
        nn.init.zeros_(self.dead.weight)
        self.joined = nn.Identity()
        self.whole = nn.InstanceNorm2d(8)
        self.upsampled = nn.Upsample(scale_factor=2)

    def forward(self, image):
        joined = torch.cat([self.wide(image), self.dead(image).relu()], dim=1)
        joined = self.joined(functional.max_pool2d(joined, 2))
        return self.upsampled(joined), self.whole(joined)


def test_joints_and_functions_between_the_modules_count():
    layers = measured(Branches(), "wide", "dead", "joined")
    assert layers == (Layer("wide", 4, 1, 7), Layer("dead", 4, 1, 3), Layer("joined", 8, 2, 8))


def test_a_layer_that_sees_the_whole_image_still_has_a_stride():
    assert measured(Branches(), "whole") == (Layer("whole", 8, 2, None),)


def test_an_upsampled_layer_has_the_stride_of_a_pixel():
    assert measured(Branches(), "upsampled") == (Layer("upsampled", 8, 1, 8),)


def test_deep_sums_do_not_overflow():
    chain = nn.Sequential(*[nn.Conv2d(3, 3, 3, padding=1) for _ in range(90)])
    for module in chain:
        nn.init.constant_(module.weight, 1e3)
    assert measured(chain, "89") == (Layer("89", 3, 1, 181),)


def test_the_weights_are_left_alone():
    network = Branches()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    measured(network, "joined")
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_a_network_of_one_size_only_is_refused():
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten(), nn.Linear(2 * 64 * 64, 3))
    with pytest.raises(UsageError, match=r"fails on images of shape \(1, 3, 256, 256\)"):
        measured(network, "0")


def test_a_network_that_needs_more_columns():
    assert measured(nn.Sequential(nn.Conv2d(3, 2, (5, 100))), "0") == (Layer("0", 2, 1, 5),)


def test_a_layer_that_is_none_is_named():
    with pytest.raises(UsageError, match="'never' is no layer"):
        measured(Wandering(), "never")
    with pytest.raises(UsageError, match=r"'0' is of shape \(1, 3, \d+\); expected"):
        measured(nn.Sequential(nn.Flatten(2)), "0")
