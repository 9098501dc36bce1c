"""Maps repeated by Expand are those of Resize."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from nstbatch.runtime.gpu_graphs.repeated_maps import with_expanded_maps

NEAREST = 'mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor"'


def graph(attributes=NEAREST, scales="1, 1, 2, 3", reader="y = Neg(up)") -> onnx.ModelProto:
    model = onnx.parser.parse_model(
        f"""
        <ir_version: 9, opset_import: ["" : 20]>
        network (float[2, 3, 4, 5] x, bool[2, 3, 8, 15] is_on) => (float[N, C, H, W] y)
        <float[4] scales = {{{scales}}}, float zero = {{0.0}}> {{
            up = Resize<{attributes}>(x, , scales)
            {reader}
        }}
        """
    )
    return onnx.shape_inference.infer_shapes(model)


def operators(model: onnx.ModelProto) -> Counter:
    return Counter(node.op_type for node in model.graph.node if node.op_type != "Constant")


def run(model: onnx.ModelProto) -> np.ndarray:
    options = ort.SessionOptions()
    options.log_severity_level = 3  # it warns of an initialiser that a case does not use
    session = ort.InferenceSession(model.SerializeToString(), options)
    random = np.random.default_rng(0)
    feeds = {"x": random.random((2, 3, 4, 5), np.float32)}
    if len(session.get_inputs()) > 1:
        feeds["is_on"] = random.random((2, 3, 8, 15)) < 0.5
    return session.run(None, feeds)[0]


@pytest.mark.parametrize(
    ("reader", "repeats"),
    [
        ("y = Neg(up)", "Expand"),
        ("y = Where(is_on, up, zero)", "Where"),
        ("masked = Where(is_on, up, zero)  y = Add(masked, up)", "Expand"),
        ("y = Where(is_on, zero, up)", "Expand"),
    ],
)
def test_the_values_are_repeated(reader, repeats):
    before = graph(reader=reader)
    after = with_expanded_maps(before)
    onnx.checker.check_model(after, full_check=True)
    assert operators(after)["Resize"] == 0
    assert operators(after)["Expand"] == (repeats == "Expand")
    np.testing.assert_array_equal(run(after), run(before))


@pytest.mark.parametrize(
    "case",
    [
        {"attributes": NEAREST.replace("nearest", "linear", 1)},
        {"attributes": NEAREST.replace("asymmetric", "half_pixel")},
        {"attributes": NEAREST.replace("floor", "ceil")},
        {"scales": "1, 1, 1.5, 1.5"},
        {"scales": "1, 2, 2, 3"},
    ],
    ids=lambda case: str(*case.values()),
)
def test_other_resizing_stays(case):
    before = graph(**case)
    assert operators(with_expanded_maps(before)) == operators(before)
