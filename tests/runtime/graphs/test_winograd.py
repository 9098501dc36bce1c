"""A convolution in Winograd's basis gives the results of the plain one."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper

from nstbatch.runtime.graphs.winograd import A_T, B_T, FEWEST_CHANNELS, G, with_fewer_products

MANY = FEWEST_CHANNELS
PLAIN = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}


def convolution(shape, filters, *, bias=False, dtype=np.float32, **attributes) -> onnx.ModelProto:
    """A graph of one convolution, its weights stored as ``dtype``: float16 is that of a bundle."""
    random = np.random.default_rng(0)
    weights = random.standard_normal(filters) / np.sqrt(np.prod(filters[1:]))
    tensors = {"w": weights.astype(dtype)}
    if bias:
        tensors["b"] = random.standard_normal(filters[0]).astype(np.float32)
    nodes = [helper.make_node("Cast", ["w"], ["weights"], to=onnx.TensorProto.FLOAT)]
    inputs = ["x", "weights", *(["b"] if bias else [])]
    nodes.append(helper.make_node("Conv", inputs, ["gradient"], **attributes))
    graph = helper.make_graph(
        nodes,
        "one",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("gradient", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(values, name) for name, values in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    return onnx.shape_inference.infer_shapes(model)


def operators(model) -> Counter:
    return Counter(node.op_type for node in model.graph.node)


def run(model, image):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options)
    return session.run(None, {"x": image})[0]


def test_the_constants_convolve():
    """One tile in one dimension, in exact arithmetic."""
    tile, filter_ = np.array([1, -2, 3, 5]), np.array([2, 3, -1])
    ours = A_T @ ((G @ filter_) * (B_T @ tile))
    np.testing.assert_array_equal(ours, np.correlate(tile, filter_, "valid"))


@pytest.mark.parametrize("size", [(6, 8), (7, 8), (6, 5), (1, 1), (2, 3)])
@pytest.mark.parametrize("pictures", [1, 3])
def test_the_result_is_the_same_at_every_size(size, pictures):
    shape = (pictures, MANY, *size)
    model = convolution(shape, (MANY + 8, MANY, 3, 3), dtype=np.float16, **PLAIN)
    image = np.random.default_rng(1).standard_normal(shape, dtype=np.float32)
    ours, expected = run(with_fewer_products(model), image), run(model, image)
    assert ours.shape == expected.shape == (pictures, MANY + 8, *size)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def test_it_multiplies_less():
    model = convolution((1, MANY, 6, 6), (MANY, MANY, 3, 3), **PLAIN)
    ours = with_fewer_products(model)
    assert operators(ours)["MatMul"] == 3
    (only,) = [node for node in ours.graph.node if node.op_type == "Conv"]
    assert {a.name: a.ints for a in only.attribute}["strides"] == [2, 2]
    assert [value.name for value in ours.graph.output] == ["gradient"]
    assert operators(model)["Conv"] == 1  # the given model is not changed


@pytest.mark.parametrize(
    ("shape", "filters", "attributes"),
    [
        ((1, MANY // 2, 6, 6), (MANY, MANY // 2, 3, 3), PLAIN),
        ((1, MANY, 6, 6), (MANY // 2, MANY, 3, 3), PLAIN),
        ((1, MANY, 6, 6), (MANY, MANY, 3, 3), {}),
        ((1, MANY, 6, 6), (MANY, MANY, 3, 3), PLAIN | {"strides": [2, 2]}),
        ((1, MANY, 6, 6), (MANY, MANY, 3, 3), PLAIN | {"dilations": [2, 2]}),
        ((1, 2 * MANY, 6, 6), (2 * MANY, MANY, 3, 3), PLAIN | {"group": 2}),
        ((1, MANY, 6, 6), (MANY, MANY, 3, 3), {"auto_pad": "SAME_UPPER"}),
        ((1, MANY, 6, 6), (MANY, MANY, 1, 1), {}),
        ((1, MANY, 9), (MANY, MANY, 3), {"pads": [1, 1]}),
    ],
)
def test_other_convolutions_stay(shape, filters, attributes):
    model = convolution(shape, filters, **attributes)
    assert operators(with_fewer_products(model)) == operators(model)


def test_with_a_bias_it_stays():
    model = convolution((1, MANY, 6, 6), (MANY, MANY, 3, 3), bias=True, **PLAIN)
    assert operators(with_fewer_products(model)) == operators(model)


def test_the_way_forward_stays_whether_or_not_it_has_biases():
    model = convolution((1, MANY, 6, 6), (MANY, MANY, 3, 3), **PLAIN)
    model.graph.node.append(helper.make_node("ReduceSum", ["gradient"], ["losses"], keepdims=0))
    model.graph.output.append(helper.make_tensor_value_info("losses", onnx.TensorProto.FLOAT, ()))
    assert operators(with_fewer_products(model)) == operators(model)
