"""Zeros move from before a transposed convolution to behind it, and nothing else changes."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from nstbatch.runtime.transposed_padding import with_padding_behind

X, W = np.random.default_rng(0).standard_normal((2, 1, 4, 9, 9), np.float32)


def model(pads, strides, ends, amounts="0, 0, 0, 0, 0, 0, {}, {}", value="") -> onnx.ModelProto:
    parsed = onnx.parser.parse_model(
        f"""
        <ir_version: 9, opset_import: ["" : 20]>
        padded (float[1, 4, 9, 9] x, float[4, 1, 9, 9] w) => (float[1, 1, H, W] out)
        <int64[8] amounts = {{{amounts.format(*ends)}}}, float one = {{1.0}}> {{
            longer = Pad(x, amounts{value})
            back = ConvTranspose<pads = {pads}, strides = {strides}>(longer, w)
            out = Neg(back)
        }}
        """
    )
    return onnx.shape_inference.infer_shapes(parsed)


def run(graph: onnx.ModelProto) -> np.ndarray:
    session = ort.InferenceSession(graph.SerializeToString())
    return session.run(None, {"x": X, "w": W.reshape(4, 1, 9, 9)})[0]


def operators(graph: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in graph.graph.node if node.op_type != "Constant"]


@pytest.mark.parametrize("strides", [[1, 1], [2, 2], [4, 3]])
@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [2, 1, 2, 1], [2, 0, 5, 7]])
@pytest.mark.parametrize("ends", [(1, 1), (0, 1), (2, 3)])
def test_the_zeros_move_and_the_numbers_stay(strides, pads, ends):
    before = model(pads, strides, ends)
    after = with_padding_behind(before)
    assert operators(after) == ["ConvTranspose", "Pad", "Neg"]
    assert operators(before) == ["Pad", "ConvTranspose", "Neg"]
    expected = run(before)
    found = run(after)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("amounts", "value"), [("0, 0, 1, 0, 0, 0, 1, 1", ""), ("0, 0, 0, 0, 0, 0, 1, 1", ", one")]
)
def test_other_padding_stays_where_it_is(amounts, value):
    before = model([1, 1, 1, 1], [2, 2], (1, 1), amounts, value)
    after = with_padding_behind(before)
    assert operators(after) == operators(before)
    np.testing.assert_array_equal(run(after), run(before))
