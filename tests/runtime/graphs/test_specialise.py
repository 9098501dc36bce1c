"""A specialised graph gives the results of the symbolic one, with fewer nodes."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.cache.stored_graph import WEIGHTS_FOLDER
from nstbatch.runtime.descent.optimizers import Adam
from nstbatch.runtime.graphs.link import link
from nstbatch.runtime.graphs.specialise import specialise
from nstbatch.runtime.objectives.terms import content

# Halves an image, doubles the result, and pads the row or column that halving cut off.
HALVE_AND_DOUBLE = """
    <ir_version: 9, opset_import: ["" : 20]>
    agraph (float[N, C, H, W] image) => (float[N, C, H, W] doubled)
    <
        int64[2] edges = {2, 3}, int64[2] two = {2, 2}, int64[4] none = {0, 0, 0, 0},
        float[4] twice = {1.0, 1.0, 2.0, 2.0}
    > {
        half = AveragePool<kernel_shape = [2, 2], strides = [2, 2]>(image)
        large = Resize<mode = "nearest">(half, , twice)
        shape = Shape(image)
        covered = Shape(large)
        missing = Sub(shape, covered)
        pads = Concat<axis = 0>(none, missing)
        doubled = Pad(large, pads)
    }
"""

RESHAPES = """
    <ir_version: 9, opset_import: ["" : 20]>
    agraph (float[N, 3, H, W] image) => ({outputs}) {{
        shape = Shape(image)
        first = Relu(image)
        second = Reshape(first, shape)
        third = Neg(second)
        out = Reshape(third, shape)
        same = Reshape(image, shape)
        rows = Flatten<axis = 3>(third)
        back = Reshape(rows, shape)
    }}
"""


def operators(model: onnx.ModelProto) -> Counter:
    return Counter(node.op_type for node in model.graph.node)


def run(model: onnx.ModelProto, feeds, folder=None):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    if folder is not None:
        options.add_session_config_entry(WEIGHTS_FOLDER, str(folder))
    return ort.InferenceSession(model.SerializeToString(), options).run(None, feeds)


def random(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


@pytest.mark.parametrize(("size", "pads"), [((8, 6), 0), ((7, 6), 1), ((8, 5), 1), ((9, 7), 1)])
def test_only_sizes_that_do_not_divide_evenly_are_padded(size, pads):
    graph = specialise(onnx.parser.parse_model(HALVE_AND_DOUBLE), {"image": (1, 3, *size)})
    expected = {"AveragePool": 1, "Resize": 1} | ({"Pad": pads} if pads else {})
    assert operators(graph) == expected


@given(shape=st.tuples(*(st.integers(low, 9) for low in (1, 1, 2, 2))))
@settings(max_examples=20)
def test_the_result_is_the_same_at_every_size(shape):
    graph, image = onnx.parser.parse_model(HALVE_AND_DOUBLE), random(*shape)
    (ours,) = run(specialise(graph, {"image": shape}), {"image": image})
    (expected,) = run(graph, {"image": image})
    np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize(
    ("outputs", "left"),
    [
        ("out", {"Relu": 1, "Neg": 1}),
        ("third, out", {"Relu": 1, "Neg": 1, "Identity": 1}),
        ("second", {"Relu": 1}),
        ("rows", {"Relu": 1, "Neg": 1, "Flatten": 1}),
    ],
)
def test_a_reshape_to_the_same_shape_goes_and_names_stay(outputs, left):
    graph = onnx.parser.parse_model(RESHAPES.format(outputs=outputs))
    ours = specialise(graph, {"image": (1, 3, 4, 5)})
    assert operators(ours) == left
    assert [value.name for value in ours.graph.output] == outputs.split(", ")
    image = random(1, 3, 4, 5) - 0.5
    for mine, expected in zip(
        run(ours, {"image": image}), run(graph, {"image": image}), strict=True
    ):
        np.testing.assert_array_equal(mine, expected)


def test_an_input_may_be_an_output():
    graph = specialise(
        onnx.parser.parse_model(RESHAPES.format(outputs="same")), {"image": (1, 3, 4, 5)}
    )
    image = random(1, 3, 4, 5)
    np.testing.assert_array_equal(run(graph, {"image": image})[0], image)


def test_every_value_has_a_static_shape():
    graph = specialise(onnx.parser.parse_model(HALVE_AND_DOUBLE), {"image": (2, 3, 7, 9)}).graph
    values = {value.name: value for value in (*graph.input, *graph.value_info, *graph.output)}
    shapes = {
        name: [size.dim_value for size in value.type.tensor_type.shape.dim]
        for name, value in values.items()
    }
    assert shapes["image"] == shapes["doubled"] == [2, 3, 7, 9]
    assert shapes["half"] == [2, 3, 3, 4]
    assert shapes["large"] == [2, 3, 6, 8]


def test_the_model_that_was_given_stays_as_it_was():
    graph = onnx.parser.parse_model(HALVE_AND_DOUBLE)
    before = graph.SerializeToString()
    specialise(graph, {"image": (1, 3, 8, 8)})
    assert graph.SerializeToString() == before


def test_adams_epsilon_is_not_taken_for_zero():
    """onnxscript's rewrite rules do that, and then a pixel without a gradient becomes NaN."""
    shape = (1, 3, 2, 2)
    model = Adam().graph(shape)
    shapes = {
        value.name: tuple(size.dim_value for size in value.type.tensor_type.shape.dim)
        for value in model.graph.input
    }
    feeds = {name: np.zeros(size, np.float32) for name, size in shapes.items()}
    feeds["learning_rate"] += 1
    (image, *_) = run(specialise(model, shapes), feeds)
    np.testing.assert_array_equal(image, np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("model", "layer", "pooling", "size", "is_padded"),
    [
        ("vgg16", "relu4_1", "avg", (32, 48), False),
        ("vgg16", "relu4_1", "avg", (37, 45), True),
        ("vgg16", "relu3_1", "max", (32, 48), False),
        ("alexnet", "relu3", "max", (69, 75), True),
    ],
)
def test_step_graphs_compute_the_same_before_and_after(model, layer, pooling, size, is_padded):
    bundle, image = Bundle.load(model), random(1, 3, *size)
    forward = run(bundle.read_graph("forward", pooling), {"image": image}, bundle.path)
    feeds = {
        "image": image,
        f"target/content/{layer}": 0.5 * forward[bundle.layer_names.index(layer)],
        f"weight/content/{layer}": np.ones(1, np.float32),
    }
    graph = link(bundle.read_graph("gradient", pooling), content(layer).terms)
    ours = specialise(graph, {name: values.shape for name, values in feeds.items()})
    assert len(ours.graph.node) < len(graph.graph.node)
    assert not operators(ours)["Shape"]
    assert bool(operators(ours)["Pad"]) == is_padded
    assert operators(graph)["Pad"]
    results = zip(run(ours, feeds, bundle.path), run(graph, feeds, bundle.path), strict=True)
    for mine, expected in results:
        np.testing.assert_allclose(mine, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
