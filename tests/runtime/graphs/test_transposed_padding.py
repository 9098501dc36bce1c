"""Zeros move from the input of a transposed convolution to its output; nothing else changes."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from nstbatch.runtime.graphs.transposed_padding import with_padded_outputs

SHAPES = {"x": (2, 4, 9, 8), "w": (4, 3, 5, 7)}

GRADIENTS_PAD = "longer = Pad(x, amounts)"
BACK = "back = ConvTranspose<pads = [2, 1, 2, 1], strides = [2, 3]>(longer, w)"


def model(pad=GRADIENTS_PAD, back=BACK, amounts="0, 0, 0, 0, 0, 0, 1, 1") -> onnx.ModelProto:
    parsed = onnx.parser.parse_model(
        f"""
        <ir_version: 9, opset_import: ["" : 20]>
        padded (float[2, 4, 9, 8] x, float[4, 3, 5, 7] w, float given) => (float[N, C, H, W] out)
        <
            int64[8] amounts = {{{amounts}}}, float one = {{1.0}}, float nil = {{0.0}},
            int64[4] axes = {{0, 1, 3, 2}}, float[3] bias = {{1.0, 2.0, 3.0}}
        > {{
            {pad}
            {back}
            out = Neg(back)
        }}
        """
    )
    return onnx.shape_inference.infer_shapes(parsed)


def run(graph: onnx.ModelProto) -> np.ndarray:
    random = np.random.default_rng(0)
    feeds = {name: random.standard_normal(shape, np.float32) for name, shape in SHAPES.items()}
    options = ort.SessionOptions()
    options.log_severity_level = 3  # it warns of initialisers that a case does not use
    session = ort.InferenceSession(graph.SerializeToString(), options)
    return session.run(None, {**feeds, "given": np.array(2, np.float32)})[0]


def operators(graph: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in graph.graph.node if node.op_type != "Constant"]


@pytest.mark.parametrize("strides", [[1, 1], [2, 2], [4, 3]])
@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [2, 1, 2, 1], [2, 0, 5, 7]])
@pytest.mark.parametrize("ends", [(1, 1), (0, 1), (2, 3)])
@pytest.mark.parametrize("others", ["", ", dilations = [2, 1]", ", output_padding = [0, 0]"])
def test_the_zeros_move_and_the_numbers_stay(strides, pads, ends, others, caplog):
    back = f"back = ConvTranspose<pads = {pads}, strides = {strides}{others}>(longer, w)"
    before = model(back=back, amounts=f"0, 0, 0, 0, 0, 0, {ends[0]}, {ends[1]}")
    after = with_padded_outputs(before)
    assert operators(before) == ["Pad", "ConvTranspose", "Neg"]
    assert operators(after) == ["ConvTranspose", "Pad", "Neg"]
    assert caplog.messages == []
    onnx.checker.check_model(after, full_check=True)
    expected = run(before)
    found = run(after)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    "case",
    [
        {"amounts": "0, 0, 1, 0, 0, 0, 1, 1"},
        {"amounts": "0, 0, 0, 0, 0, 0, -1, 1"},
        {"pad": "longer = Pad(x, amounts, one)"},
        {"pad": "longer = Pad(x, amounts, given)"},
        {"pad": "longer = Pad(x, amounts, nil, axes)"},
        {"pad": 'longer = Pad<mode = "edge">(x, amounts)'},
        {"pad": "longer = Relu(x)"},
        {"back": "back = ConvTranspose<pads = [1, 1, 1, 1], strides = [2, 2]>(longer, w, bias)"},
        {"back": "back = ConvTranspose<strides = [2, 2], output_shape = [24, 22]>(longer, w)"},
        {"back": "back = ConvTranspose(longer, w)"},
    ],
    ids=lambda case: str(*case.values()),
)
def test_other_padding_stays_where_it_is(case):
    before = model(**case)
    after = with_padded_outputs(before)
    assert operators(after) == operators(before)
    np.testing.assert_array_equal(run(after), run(before))


def test_a_result_of_the_graph_keeps_its_shape():
    before = model()
    before.graph.output.append(
        onnx.helper.make_tensor_value_info("back", onnx.TensorProto.FLOAT, None)
    )
    assert operators(with_padded_outputs(before)) == operators(before)
