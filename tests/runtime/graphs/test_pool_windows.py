"""Windows are cut to the input of their pool, and nothing else changes."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from nstbatch.runtime.graphs.pool_windows import with_fitting_windows

POOLS = {
    "MaxPool": "MaxPool<kernel_shape = [3, 3], strides = [2, 2], {}>(x)",
    "AveragePool": "AveragePool<kernel_shape = [3, 3], strides = [2, 2], {}>(x)",
}


def model(pool: str, sides: str) -> onnx.ModelProto:
    parsed = onnx.parser.parse_model(
        f"""
        <ir_version: 9, opset_import: ["" : 20]>
        pooled (float[1, 2, {sides}] x) => (float[1, 2, H, W] out) {{ out = {pool} }}
        """
    )
    return onnx.shape_inference.infer_shapes(parsed)


def kernel(graph: onnx.ModelProto) -> list[int]:
    (node,) = graph.graph.node
    (found,) = (each.ints for each in node.attribute if each.name == "kernel_shape")
    return list(found)


def run(graph: onnx.ModelProto, sides: str) -> np.ndarray:
    x = np.random.default_rng(0).standard_normal((1, 2, *map(int, sides.split(","))), np.float32)
    session = ort.InferenceSession(graph.SerializeToString())
    return session.run(None, {"x": x})[0]


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize(
    ("sides", "expected"),
    [("2, 4", [2, 3]), ("2, 2", [2, 2]), ("5, 2", [3, 2]), ("6, 6", [3, 3])],
)
def test_they_fit_and_the_numbers_stay(name, sides, expected):
    before = model(POOLS[name].format("ceil_mode = 1"), sides)
    after = with_fitting_windows(before)
    assert kernel(before) == [3, 3]
    assert kernel(after) == expected
    onnx.checker.check_model(after, full_check=True)
    np.testing.assert_allclose(run(after, sides), run(before, sides), rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "sides"),
    [("pads = [1, 1, 1, 1]", "2, 2"), ("dilations = [2, 2]", "6, 6"), ("ceil_mode = 1", "H, 2")],
)
def test_others_stay_as_they_are(options, sides):
    assert kernel(with_fitting_windows(model(POOLS["MaxPool"].format(options), sides))) == [3, 3]
