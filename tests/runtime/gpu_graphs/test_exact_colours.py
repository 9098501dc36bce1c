"""Colours are mixed by elementwise products, with the numbers of a convolution."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from nstbatch.runtime.gpu_graphs.exact_colours import with_exact_colours

FLIPPED = (0, 0, 255, 0, 255, 0, 255, 0, 0)
SCALED = (4.4, 0, 0, 0, 4.5, 0, 0, 0, -4.4)
MIXED = (0.26, 0.09, 0.02, 0.27, 0, -0.05, 0.27, -0.09, 0.03)


def model(matrix, *, bias: bool, given: bool = False, pads: str = "") -> onnx.ModelProto:
    inputs = "float[2, 3, 5, 4] x" + (", float[3, 3, 1, 1] m" if given else "")
    weights = "" if given else f"float[3, 3, 1, 1] m = {{{', '.join(map(str, matrix))}}}, "
    text = f"""
        <ir_version: 9, opset_import: ["" : 20]>
        mix ({inputs}) => (float[N, C, H, W] y)
        < {weights} float[3] b = {{0.5, -1.5, 2.5}} > {{
            z = Conv {pads} ({"x, m, b" if bias else "x, m"})
            y = Neg(z)
        }}
    """
    return onnx.shape_inference.infer_shapes(onnx.parser.parse_model(text))


def run(graph: onnx.ModelProto, matrix) -> np.ndarray:
    options = ort.SessionOptions()
    options.log_severity_level = 3  # it warns of a bias that a case does not use
    session = ort.InferenceSession(graph.SerializeToString(), options)
    feeds = {"x": np.random.default_rng(0).random((2, 3, 5, 4), np.float32)}
    if len(session.get_inputs()) == 2:
        feeds["m"] = np.reshape(np.float32(matrix), (3, 3, 1, 1))
    return session.run(None, feeds)[0]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("matrix", "given", "operators"),
    [
        (SCALED, False, {"Mul"}),
        (FLIPPED, False, {"Gather", "Mul"}),
        (MIXED, False, {"Split", "Mul", "Sum", "Transpose"}),
        (SCALED, True, {"Split", "Mul", "Sum", "Transpose"}),
    ],
)
def test_the_numbers_stay(matrix, given, operators, bias):
    before = model(matrix, bias=bias, given=given)
    after = with_exact_colours(before)
    onnx.checker.check_model(after, full_check=True)
    found = {node.op_type for node in after.graph.node} - {"Constant", "Neg"}
    assert found == operators | ({"Reshape", "Add"} if bias else set())
    np.testing.assert_allclose(run(after, matrix), run(before, matrix), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pads", ["<pads = [1, 1, 1, 1]>", "<strides = [2, 2]>"])
def test_other_convolutions_stay(pads):
    graph = with_exact_colours(model(SCALED, bias=True, pads=pads))
    assert [node.op_type for node in graph.graph.node] == ["Conv", "Neg"]
