"""The smallest picture that a network accepts, compared with PyTorch."""

import numpy as np
import onnx
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.devices.providers import resolve
from nstbatch.runtime.engine.open_session import open_session
from nstbatch.runtime.graphs.link import link_targets
from nstbatch.runtime.graphs.smallest_side import smallest_side
from nstbatch.runtime.objectives.terms import content

WINDOWS = st.tuples(
    st.sampled_from(["Conv", "MaxPool", "AveragePool"]),
    st.integers(1, 5),  # kernel
    st.integers(1, 4),  # stride
    st.integers(0, 2),  # padding
    st.integers(1, 2),  # dilation
    st.booleans(),  # ceil mode
)


def module(kind, kernel, stride, padding, dilation, ceil) -> nn.Module:
    if kind == "Conv":
        return nn.Conv2d(1, 1, kernel, stride, padding, dilation)
    if kind == "MaxPool":
        return nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=ceil)
    return nn.AvgPool2d(kernel, stride, padding, ceil_mode=ceil)


def node(index, kind, kernel, stride, padding, dilation, ceil) -> onnx.NodeProto:
    attributes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [padding] * 4}
    if kind != "AveragePool":
        attributes["dilations"] = [dilation] * 2
    if kind != "Conv":
        attributes["ceil_mode"] = int(ceil)
    inputs = [f"v{index}", "weights"] if kind == "Conv" else [f"v{index}"]
    return onnx.helper.make_node(kind, inputs, [f"v{index + 1}"], **attributes)


def takes(network: nn.Module, side: int) -> bool:
    try:
        return min(network(torch.zeros(1, 1, side, side)).shape) > 0
    except RuntimeError:
        return False


@given(windows=st.lists(WINDOWS, min_size=1, max_size=4))
def test_it_is_the_first_side_that_pytorch_takes(windows):
    for kind, kernel, stride, padding, _, ceil in windows:
        assume(kind == "Conv" or padding <= kernel // 2)
        assume(kind == "Conv" or not ceil or stride <= kernel - padding)
    float32 = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [node(index, *window) for index, window in enumerate(windows)],
        "windows",
        [onnx.helper.make_tensor_value_info("v0", float32, [1, 1, None, None])],
        [onnx.helper.make_tensor_value_info(f"v{len(windows)}", float32, None)],
        [onnx.helper.make_tensor("weights", float32, [1], [0])],
    )
    side = smallest_side(onnx.helper.make_model(graph), {f"v{len(windows)}"})
    network = nn.Sequential(*(module(*window) for window in windows)).eval()
    assert takes(network, side)
    assert side == 1 or not takes(network, side - 1)


def test_the_most_demanding_layer_counts():
    graph = Bundle.load("alexnet").read_graph("forward", "avg")
    assert smallest_side(graph, {"relu1"}) == 7
    assert smallest_side(graph, {"relu1", "pool5"}) == smallest_side(graph, {"pool5"}) == 63


@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize(
    ("model", "layer", "side"),
    [
        ("vgg16", "relu1_1", 1),
        ("vgg16", "relu5_1", 16),
        ("alexnet", "relu2", 15),
        ("alexnet", "relu5", 31),
        ("squeezenet1_1", "fire5/concat", 9),
        ("squeezenet1_1", "fire9/concat", 17),
    ],
)
def test_a_layer_has_one_position_at_its_smallest_side(model, layer, side, pooling):
    bundle = Bundle.load(model)
    forward = bundle.read_graph("forward", pooling)
    assert smallest_side(forward, {layer}) == side
    image = np.random.default_rng(0).random((1, 3, side, side), np.float32)
    session = open_session(
        link_targets(forward, content(layer).terms),
        {"image": image.shape},
        resolve("cpu"),
        weights_folder=bundle.path,
        threads=1,
    )
    (activation,) = session.run({"image": image}).values()
    assert activation.shape == (1, bundle.layer(layer).channels, 1, 1)
