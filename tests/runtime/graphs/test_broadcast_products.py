"""A product that repeats its left operand becomes one product with the same result."""

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest

from nstbatch.runtime.graphs.broadcast_products import repeats_left, with_single_products


def model(left: tuple[int, ...], right: tuple[int, ...]) -> onnx.ModelProto:
    sides = (",".join(map(str, shape)) for shape in (left, right))
    names = ("a", "b")
    inputs = ", ".join(f"float[{side}] {name}" for side, name in zip(sides, names, strict=True))
    text = f"""
        <ir_version: 9, opset_import: ["" : 20]>
        product ({inputs}) => (float[N] out) {{ c = MatMul(a, b)  out = Neg(c) }}
    """
    parsed = onnx.parser.parse_model(text)
    del parsed.graph.output[0].type.tensor_type.shape.dim[:]
    parsed.graph.output[0].type.tensor_type.ClearField("shape")
    return onnx.shape_inference.infer_shapes(parsed)


def run(graph: onnx.ModelProto) -> np.ndarray:
    session = ort.InferenceSession(graph.SerializeToString())
    random = np.random.default_rng(0)
    feeds = {each.name: random.random(each.shape, np.float32) for each in session.get_inputs()}
    return session.run(None, feeds)[0]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((4, 5), (3, 5, 6)),
        ((4, 5), (2, 3, 5, 6)),
        ((1, 1, 4, 5), (2, 3, 5, 6)),
        ((1, 5), (3, 5, 1)),
    ],
)
def test_the_result_is_the_same(left, right):
    before = model(left, right)
    after = with_single_products(before)
    onnx.checker.check_model(after, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(after)
    products = [node for node in ir.from_proto(inferred).graph if node.op_type == "MatMul"]
    assert [[len(value.shape) for value in node.inputs] for node in products] == [[2, 2]]
    np.testing.assert_allclose(run(after), run(before), rtol=1e-6)


@pytest.mark.parametrize(
    ("left", "right"),
    [((4, 5), (5, 6)), ((1, 4, 5), (1, 5, 6)), ((3, 4, 5), (3, 5, 6)), ((3, 4, 5), (5, 6))],
)
def test_other_products_stay(left, right):
    before = model(left, right)
    assert not any(repeats_left(node) for node in ir.from_proto(before).graph if node.inputs[1:])
    assert [node.op_type for node in with_single_products(before).graph.node] == ["MatMul", "Neg"]
