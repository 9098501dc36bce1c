import sys
import textwrap

import pytest
import torch

from nstbatch.exporter.networks import backbones
from nstbatch.exporter.networks.custom import custom, spread
from nstbatch.runtime.bundles.bundle import Preprocessing
from nstbatch.runtime.errors import UnknownNameError, UsageError

SOURCE = """
import dataclasses
import torch
from torch import nn

@dataclasses.dataclass
class Width:
    channels: int = 4

class Block(nn.Module):
    def __init__(self, inside, outside, stride):
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, 3, stride, 1)
        self.relu = nn.ReLU(inplace=True)
        self.never = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.relu(self.conv(x))

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        width = Width().channels
        self.stem = Block(3, width, 2)
        self.body = nn.Sequential(*[Block(width, width, 2) for _ in range(5)])
        self.drop = nn.Dropout()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(width, 7)

    def forward(self, x):
        return self.head(self.pool(self.drop(self.body(self.stem(x)))).flatten(1))

def build():
    torch.manual_seed(3)
    return Net()

def bytes_bgr():
    net = build()
    net.preprocessing = {"channels": "BGR", "scale": 255, "mean": [1, 2, 3], "std": [1, 1, 2]}
    return net

def grey():
    net = build()
    net.preprocessing = {"channels": "L", "scale": 255, "mean": [1, 2, 3], "std": [1, 1, 1]}
    return net

def one_size():
    return nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten(), nn.Linear(2 * 64 * 64, 3))

def overwriting():
    class Overwriting(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 1)
            self.next = nn.Conv2d(2, 2, 1)

        def forward(self, x):
            return self.next(torch.relu_(self.conv(x)))

    return Overwriting()

def number():
    return 3

def broken():
    raise KeyError("weights")

ready = build()
constant = 3
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "my net.py"
    path.write_text(SOURCE, encoding="utf-8")
    return path


def test_a_factory_in_a_file(file):
    backbone = custom(f"{file}:build")
    assert backbone.name == "my_net"
    assert backbone.architecture == "my net.py:build"
    assert backbone.preprocessing == backbones.IMAGENET
    assert backbone.weights is None
    assert list(backbone.layers)[:4] == ["stem.conv", "stem.relu", "body.0.conv", "body.0.relu"]
    assert list(backbone.layers)[-2:] == ["pool", "head"]
    assert all(name == path for name, path in backbone.layers.items())


def test_containers_and_idle_modules_add_no_second_name(file):
    layers = custom(f"{file}:build").layers
    assert not {"stem", "body", "body.4", "drop", "stem.never"} & layers.keys()


def test_what_is_asked_for_by_name_is_a_layer_even_twice(file):
    backbone = custom(f"{file}:build", ("body.?.relu", "body"))
    assert list(backbone.layers) == [*(f"body.{i}.relu" for i in range(5)), "body"]


def test_suggested_layers_are_spread_over_the_depth(file):
    backbone = custom(f"{file}:build")
    assert backbone.style_layers == (
        "stem.conv",
        "body.0.relu",
        "body.2.conv",
        "body.3.conv",
        "body.4.relu",
    )
    assert backbone.content_layers == ("body.2.relu",)


def test_the_network_is_frozen_and_built_with_its_weights(file):
    backbone = custom(f"{file}:build")
    first, second = backbone.build(), backbone.build()
    assert first is not second
    assert torch.equal(first.head.weight, second.head.weight)
    assert not first.training
    assert not first.stem.relu.inplace
    assert not first.head.weight.requires_grad


def test_a_module_can_carry_its_preprocessing(file):
    expected = Preprocessing("BGR", 255.0, (1.0, 2.0, 3.0), (1.0, 1.0, 2.0))
    assert custom(f"{file}:bytes_bgr").preprocessing == expected
    with pytest.raises(UsageError, match=r"own preprocessing is wrong: 'channels' .* not 'L'"):
        custom(f"{file}:grey")


def test_a_factory_in_a_module(tmp_path, monkeypatch):
    package = tmp_path / "some_package"
    package.mkdir()
    (package / "nets.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    backbone = custom("some_package.nets:build", ("*relu",))
    assert backbone.name == "build"
    assert backbone.architecture == "some_package.nets:build"
    assert len(backbone.layers) == 6
    del sys.modules["some_package.nets"]


def test_torchvisions_own_factories_work():
    backbone = custom("torchvision.models:mobilenet_v3_small", ("features.*.0.0", "features.12"))
    assert "features.12" in backbone.layers


def test_a_class_or_a_module_is_a_factory(file):
    assert custom(f"{file}:Net").layers == custom(f"{file}:ready").layers


@pytest.mark.parametrize("spec", ["build", ":build", "file.py:", "resnet18"])
def test_a_spec_without_both_parts(spec):
    with pytest.raises(UsageError, match=r"should be package\.module:factory or file\.py:factory"):
        custom(spec)


def test_a_file_that_is_not_there():
    with pytest.raises(UsageError, match=r"There is no file nothing\.py"):
        custom("nothing.py:build")


def test_a_module_that_is_not_there():
    with pytest.raises(UsageError, match="Cannot import no_such_module: ModuleNotFoundError"):
        custom("no_such_module:build")


@pytest.mark.parametrize(
    ("content", "reason"),
    [("def build(:", "SyntaxError"), ("1 / 0", "ZeroDivisionError"), ("import nowhere", "nowhere")],
)
def test_a_file_that_fails(tmp_path, content, reason):
    path = tmp_path / "broken.py"
    path.write_text(textwrap.dedent(content))
    before = set(sys.modules)
    with pytest.raises(UsageError, match=rf"Cannot import .*broken\.py: .*{reason}"):
        custom(f"{path}:build")
    assert set(sys.modules) == before


def test_an_unknown_factory_lists_the_others(file):
    with pytest.raises(UnknownNameError, match=r"Did you mean 'build'\? Known: .*one_size"):
        custom(f"{file}:biuld")


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("number", r"number gives int; expected a torch\.nn\.Module"),
        ("broken", "broken fails: KeyError: 'weights'"),
        ("constant", "'constant' in .* is int, not a factory"),
        ("one_size", r"fails on images of shape \(1, 3, 224, 224\)"),
    ],
)
def test_a_factory_that_makes_no_network(file, factory, message):
    with pytest.raises(UsageError, match=message):
        custom(f"{file}:{factory}")


def test_a_pattern_without_a_match_lists_the_layers(file):
    with pytest.raises(
        UnknownNameError, match=r"Unknown layer 'layer\*'.* Known: stem, stem\.conv"
    ):
        custom(f"{file}:build", ("stem*", "layer*"))


def test_what_is_no_layer_is_refused_by_name_and_left_out_of_a_glob(file):
    with pytest.raises(UsageError, match=r"'stem\.never' is no layer: it does not run"):
        custom(f"{file}:build", ("stem.never", "stem.relu"))
    with pytest.raises(UsageError, match=r"None of the submodules that match \*never"):
        custom(f"{file}:build", ("*never",))


def test_a_layer_that_is_overwritten_is_refused_by_name(file):
    with pytest.raises(UsageError, match="'conv' is no layer"):
        custom(f"{file}:overwriting", ("conv",))
    assert list(custom(f"{file}:overwriting").layers) == ["next"]


def test_spread_keeps_both_ends():
    assert spread("abcdefghi", 5) == tuple("acegi")
    assert spread("abc", 5) == tuple("abc")
