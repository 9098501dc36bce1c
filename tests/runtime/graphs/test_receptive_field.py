"""Receptive fields, compared with the pixels that PyTorch's gradients reach."""

import onnx
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.graphs.receptive_field import Window, receptive_field

SIDE = 40

# Kernel, stride, padding, dilation.
SLIDES = st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2))


def convolution(kernel, stride, padding, dilation) -> nn.Module:
    layer = nn.Conv2d(1, 1, kernel, stride, padding, dilation, bias=False)
    nn.init.ones_(layer.weight)
    return layer


def node(index, kernel, stride, padding, dilation, kind="Conv") -> onnx.NodeProto:
    inputs = [f"v{index}", "weights"] if kind == "Conv" else [f"v{index}"]
    return onnx.helper.make_node(
        kind,
        inputs,
        [f"v{index + 1}"],
        kernel_shape=[kernel] * 2,
        strides=[stride] * 2,
        pads=[padding] * 4,
        dilations=[dilation] * 2,
    )


def model(nodes) -> onnx.ModelProto:
    float32 = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes,
        "windows",
        [onnx.helper.make_tensor_value_info("v0", float32, [1, 1, None, None])],
        [onnx.helper.make_tensor_value_info("layer", float32, None)],
        [onnx.helper.make_tensor("weights", float32, [1], [0])],
    )
    return onnx.helper.make_model(graph)


def named(count) -> onnx.NodeProto:
    return onnx.helper.make_node("Relu", [f"v{count}"], ["layer"])


@given(
    slides=st.lists(SLIDES, min_size=1, max_size=3),
    kind=st.sampled_from(["Conv", "MaxPool"]),
    data=st.data(),
)
def test_a_box_is_what_the_gradient_reaches(slides, kind, data):
    field = receptive_field(
        model([*(node(i, *s, kind) for i, s in enumerate(slides)), named(len(slides))]), "layer"
    )
    image = torch.ones(1, 1, SIDE, SIDE, requires_grad=True)
    try:
        layer = nn.Sequential(*(convolution(*slide) for slide in slides))(image)
    except RuntimeError:  # smaller than a filter
        assume(False)
    row = data.draw(st.integers(0, layer.shape[2] - 1))
    column = data.draw(st.integers(0, layer.shape[3] - 1))
    (gradient,) = torch.autograd.grad(layer[0, 0, row, column], image)
    rows, columns = gradient[0, 0].nonzero(as_tuple=True)
    assume(len(rows))  # otherwise all of it lies in the padding
    box = field.box(row, column, SIDE)
    assert box.top <= rows.min() <= rows.max() < box.bottom
    assert box.left <= columns.min() <= columns.max() < box.right
    # At the edges a position of the padding may lie in between, which sees nothing.
    seen = [(row, field.rows), (column, field.columns)]
    if all(p * w.stride + w.first >= 0 and p * w.stride + w.last < SIDE for p, w in seen):
        assert box == (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)


@pytest.mark.parametrize("name", ["alexnet", "squeezenet1_1", "vgg16"])
def test_it_is_what_the_exporter_measured(name):
    bundle = Bundle.load(name)
    graph = bundle.read_graph("forward")
    for layer in bundle.layers:
        field = receptive_field(graph, layer.name)
        if layer.receptive_field is None:
            assert field is None
        else:
            for window in (field.rows, field.columns):
                assert window.last - window.first + 1 == layer.receptive_field
                assert window.stride == layer.stride


@given(
    stride=st.integers(1, 32),
    first=st.integers(-100, 0),
    span=st.integers(0, 200),
    length=st.integers(1, 300),
    position=st.integers(0, 40),
)
def test_a_part_holds_what_is_seen_and_keeps_its_positions(stride, first, span, length, position):
    window = Window(stride, first, first + span)
    assume(position * stride < length)
    enough, start = window.enough(length), window.start(position, length)
    assert 0 < enough <= length
    assert start % stride == 0
    assert 0 <= start <= length - enough
    whole = position * stride + window.first, position * stride + window.last
    assert start <= whole[0] or start == 0
    assert whole[1] < start + enough or start + enough == length


def test_parts_of_a_large_image_are_not_much_larger_than_what_is_seen():
    window = Window(stride=16, first=-33, last=65)
    assert window.enough(10_000) < 99 + 2 * 16


@pytest.mark.parametrize(
    "nodes",
    [
        [onnx.helper.make_node("GlobalAveragePool", ["v0"], ["v1"]), named(1)],
        [onnx.helper.make_node("Flatten", ["v0"], ["v1"]), named(1)],
        [onnx.helper.make_node("Softmax", ["v0"], ["v1"], axis=1), named(1)],
        [onnx.helper.make_node("Concat", ["v0", "v0"], ["layer"], axis=2)],
        # Two paths with different strides.
        [
            node(0, 3, 2, 1, 1),
            onnx.helper.make_node("Add", ["v0", "v1"], ["v2"]),
            named(2),
        ],
    ],
    ids=["pooled", "flat", "unknown", "one below the other", "strides"],
)
def test_where_a_position_may_see_everything_there_is_no_field(nodes):
    assert receptive_field(model(nodes), "layer") is None


def test_of_several_ways_the_widest_counts():
    nodes = [
        onnx.helper.make_node(
            "Conv", ["v0", "weights"], ["v1"], kernel_shape=[5, 1], pads=[2, 0, 2, 0]
        ),
        onnx.helper.make_node(
            "Conv", ["v0", "weights"], ["v2"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]
        ),
        onnx.helper.make_node("Concat", ["v1", "v2"], ["layer"], axis=1),
    ]
    field = receptive_field(model(nodes), "layer")
    assert field.box(10, 10, SIDE) == (8, 9, 13, 12)
    assert field.box(0, 0, SIDE) == (0, 0, 3, 2)
    assert field.whole(SIDE) == (5, 3)
    assert field.whole(4) == (4, 3)  # an image that is smaller than that
