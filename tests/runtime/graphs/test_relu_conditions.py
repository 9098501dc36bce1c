"""Masks of ReLUs are the same as conditions."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from nstbatch.runtime.graphs.relu_steps import with_conditions


def graph(nodes: str, cotangent: str = "float[2, 3, 4, 5]") -> onnx.ModelProto:
    model = onnx.parser.parse_model(
        f"""
        <ir_version: 9, opset_import: ["" : 20]>
        network (float[2, 3, 4, 5] x, {cotangent} g) => (float[2, 3, 4, 5] y) {{ {nodes} }}
        """
    )
    return onnx.shape_inference.infer_shapes(model)


def operators(model: onnx.ModelProto) -> Counter:
    return Counter(node.op_type for node in model.graph.node)


def run(model: onnx.ModelProto) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString())
    random = np.random.default_rng(0)
    inputs = session.get_inputs()
    feeds = {value.name: random.standard_normal(value.shape, np.float32) for value in inputs}
    return session.run(None, feeds)[0]


@pytest.mark.parametrize("product", ["Mul(s, g)", "Mul(g, s)"])
def test_a_mask_becomes_a_condition(product):
    before = graph(f"r = Relu(x)  s = Sign(r)  y = {product}")
    after = with_conditions(before)
    onnx.checker.check_model(after, full_check=True)
    assert operators(after) == Counter(Relu=1, Cast=1, Constant=1, Where=1)
    np.testing.assert_array_equal(run(after), run(before))


@pytest.mark.parametrize(
    ("nodes", "cotangent"),
    [
        ("s = Sign(x)  y = Mul(s, g)", "float[2, 3, 4, 5]"),  # it may be negative
        ("r = Relu(x)  s = Sign(r)  y = Mul(s, g)", "float[2, 1, 1, 1]"),
        ("r = Relu(x)  s = Sign(r)  m = Mul(s, s)  y = Add(m, g)", "float[2, 3, 4, 5]"),
        ("r = Relu(x)  s = Sign(r)  y = Add(s, g)", "float[2, 3, 4, 5]"),
    ],
)
def test_other_products_stay(nodes, cotangent):
    before = graph(nodes, cotangent)
    assert operators(with_conditions(before)) == operators(before)
