"""Compares the exported graphs with PyTorch's autograd, at sizes that tracing has not seen."""

import shutil
from collections import OrderedDict

import numpy as np
import pytest
import safetensors.numpy
import torch
from torch import nn
from torch.nn import functional

from nstbatch.exporter import rules
from nstbatch.exporter.checks import verify
from nstbatch.exporter.checks.pictures import PICTURES, flat_areas
from nstbatch.exporter.checks.verify import BATCHES, SIZES, TOLERANCE, Row, compare, open_session
from nstbatch.exporter.export import Export
from nstbatch.exporter.networks import backbones
from nstbatch.exporter.networks.pooling import use_pooling
from nstbatch.exporter.rules import ReluRule
from nstbatch.exporter.trace import LayerNetwork, vjp_graph
from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.errors import UsageError

CASES = {(*size, batch) for size in SIZES for batch in BATCHES}


def assert_right(rows, graphs, pictures):
    """Check that every graph is within the tolerance for every size, batch and picture."""
    wanted = {(graph, picture, *case) for graph in graphs for picture in pictures for case in CASES}
    assert {(r.graph, r.picture, r.height, r.width, r.batch) for r in rows} == wanted
    assert len(rows) == len(wanted)
    assert [row for row in rows if not (row.is_right and row.is_clear)] == []


@pytest.fixture(scope="module")
def pictures(photo):
    """A real photo, since the package contains none."""
    return {"photo": photo, "flat areas": flat_areas}


# --- Parity -----------------------------------------------------------------------------------


def test_what_must_be_shown_is_shown():
    assert set(SIZES) == {(64, 64), (70, 86), (97, 131)}
    assert set(BATCHES) == {1, 3}
    assert TOLERANCE == 1e-5


@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize("name", ["vgg16", "alexnet", "squeezenet1_1"])
def test_the_built_in_graphs_agree_with_autograd(built_in, name, pooling, pictures):
    export = built_in(name)
    if pooling == "avg":  # flat areas are there for the ties of a max pooling
        pictures = {"photo": pictures["photo"]}
    sessions = verify.open_sessions(export.bundle, pooling)
    rows = compare(export.layer_network(pooling), sessions, pooling, pictures)
    graphs = {f"forward_{pooling}.onnx", f"gradient_{pooling}.onnx"}
    graphs |= {"deconv.onnx", "guided.onnx"} if pooling == "max" else set()
    assert_right(rows, graphs, pictures)


@pytest.fixture
def joined(randomised) -> LayerNetwork:
    """Parts of ResNet and GoogLeNet in a row; whole, they take minutes to trace."""
    resnet, googlenet = (backbones.get(name).build() for name in ("resnet18", "googlenet"))
    parts = OrderedDict(
        stem=nn.Sequential(resnet.conv1, resnet.bn1, resnet.relu),
        block=resnet.layer2[0],
        widen=nn.Conv2d(128, 192, 1),
        inception=googlenet.inception3a,
        average=nn.AdaptiveAvgPool2d(1),
        flat=nn.Flatten(),
        logits=nn.Linear(256, 5),
    )
    network = use_pooling(randomised(nn.Sequential(parts)).eval(), "max")
    layers = {name: name for name in ("block", "inception", "logits")}
    return LayerNetwork(network, layers, backbones.IMAGENET)


def test_joins_and_batch_norms_agree_with_autograd(joined, pictures, serialised):
    assert_traced_right(joined, pictures, serialised)


@pytest.mark.replication
@pytest.mark.parametrize("name", ["resnet18", "googlenet"])
def test_whole_networks_with_joins_and_batch_norms_agree_with_autograd(
    name, pictures, randomised, serialised
):
    backbone = backbones.get(name)
    network = use_pooling(randomised(backbone.build()), "max")
    layers = LayerNetwork(network, backbone.layers, backbone.preprocessing)
    assert_traced_right(layers, pictures, serialised)


def assert_traced_right(network, pictures, serialised):
    graph = serialised(vjp_graph(network, ReluRule.GRADIENT))
    rows = compare(network, {"gradient": open_session(graph)}, "max", pictures)
    assert_right(rows, {"gradient_max.onnx"}, pictures)


# --- What it finds ----------------------------------------------------------------------------


def test_other_weights_are_found_out(built_in, tmp_path):
    export = built_in("alexnet")
    folder = shutil.copytree(export.bundle.path, tmp_path / "alexnet")
    weights = safetensors.numpy.load_file(folder / "weights.safetensors")
    weights["features.6.weight"] *= np.float16(1.01)
    safetensors.numpy.save_file(weights, folder / "weights.safetensors")
    lines = []
    changed = Export(Bundle.load(folder), export.network, export.layers, export.preprocessing)
    rows = verify.verify(changed, lines.append)
    assert {row.graph for row in rows} == {*export.bundle.sha256} - {"weights.safetensors"}
    assert not any(row.is_right for row in rows)
    assert all(1e-4 < row.layers < 1e-1 for row in rows)
    assert lines[0] == "Comparing with PyTorch, avg pooling: photo-like, 64x64"
    assert len(lines) == 2 * len(PICTURES) * len(SIZES)


def test_a_wrong_rule_is_found_out(as_layers, serialised, monkeypatch):
    """The derivative of a leaky ReLU instead of a ReLU's: the layers are still right."""
    monkeypatch.setitem(
        rules.RELU_BACKWARD, ReluRule.GRADIENT, lambda g, a, threshold: torch.where(a > 0, g, g / 9)
    )
    torch.manual_seed(0)
    network = as_layers(nn.Conv2d(3, 16, 3), nn.ReLU())
    graph = serialised(vjp_graph(network, ReluRule.GRADIENT))
    rows = compare(network, {"gradient": open_session(graph)}, "avg")
    assert all(row.gradient > 1e-2 > TOLERANCE > row.layers for row in rows)
    assert not any(row.is_right for row in rows)


def all_maxima(g, x, kernel, stride, *rest):
    """The cotangent goes to every maximum of a window: right only if no window ties."""
    up = [functional.interpolate(t, scale_factor=2) for t in (g, functional.max_pool2d(x, 2))]
    rows, columns = x.shape[2] - up[0].shape[2], x.shape[3] - up[0].shape[3]
    g, highest = (functional.pad(t, (0, columns, 0, rows)) for t in up)
    return torch.where(x >= highest, g, torch.zeros(()))


def test_flat_areas_find_a_wrong_choice_among_ties(as_layers, serialised, monkeypatch):
    monkeypatch.setattr(rules, "max_pool2d_backward", all_maxima)
    torch.manual_seed(0)
    network = as_layers(nn.Conv2d(3, 16, 3), nn.MaxPool2d(2))
    graph = serialised(vjp_graph(network, ReluRule.GRADIENT))
    rows = compare(network, {"gradient": open_session(graph)}, "max")
    assert all(row.is_right == (row.picture == "photo-like") for row in rows)


# --- Rows -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "gradient", "is_right"),
    [
        (1e-6, 1e-6, True),
        (1e-6, None, True),
        (2e-5, None, False),
        (2e-5, 1e-6, False),
        (1e-6, 2e-5, False),
        (1e-6, float("inf"), False),
    ],
)
def test_a_row_is_right_if_all_of_it_is(layers, gradient, is_right):
    row = Row("gradient_max.onnx", "photo", 64, 64, 1, layers, gradient, is_clear=True)
    assert row.is_right == is_right


@pytest.mark.parametrize(
    ("found", "expected", "error"),
    [
        ([3.0, 4.0], [3.0, 4.0], 0),
        ([3.0, 4.5], [3.0, 4.0], 0.1),
        ([0.0, 0.0], [0.0, 0.0], 0),
        ([float("nan"), 0.0], [0.0, 0.0], float("inf")),
        ([1.0, 0.0], [float("nan"), 0.0], float("inf")),
    ],
)
def test_relative_errors(found, expected, error):
    assert verify._relative_error(np.float32(found), np.float32(expected)) == pytest.approx(error)


def test_every_cotangent_counts_alike(as_layers):
    network = as_layers(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), layers=("0", "1"))
    cotangents = verify._cotangents(network, torch.rand(2, 3, 9, 9))
    assert {name: values.shape for name, values in cotangents.items()} == {
        "0": (2, 4, 7, 7),
        "1": (2, 4, 1, 1),
    }
    assert all(values.norm().item() == pytest.approx(1) for values in cotangents.values())


# --- Sizes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("window", "smallest"), [(64, 64), (65, 128), (500, 512)])
def test_a_network_that_needs_larger_images_gets_them(as_layers, window, smallest):
    sizes = verify._sizes(as_layers(nn.AvgPool2d(window)))
    assert sizes[0] == (smallest, smallest)
    assert sizes[2] == (smallest + 33, smallest + 67)


def test_a_network_that_runs_at_no_size_is_refused(as_layers):
    with pytest.raises(UsageError, match=r"it fails at \(\(64, 64\)"):
        compare(as_layers(nn.AvgPool2d(1000)), {}, "avg")
