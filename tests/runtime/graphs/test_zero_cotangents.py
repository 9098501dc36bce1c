"""Removal of what a zero makes superfluous, on graphs of one line; all else stays."""

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
from onnx_ir.passes import common as passes

from nstbatch.runtime.graphs import zero_cotangents
from nstbatch.runtime.graphs.zero_cotangents import propagate_zeros

SHAPES = {
    "zero": (2, 4, 6, 6),
    "x": (2, 4, 6, 6),
    "w": (6, 6),
    "filters": (4, 4, 3, 3),
    "bias": (4,),
}

HEADER = """
    <ir_version: 9, opset_import: ["" : 20]>
    one_line (
        float[2, 4, 6, 6] zero, float[2, 4, 6, 6] x,
        float[6, 6] w, float[4, 4, 3, 3] filters, float[4] bias
    ) => (float[] out)
    <
        float nil = {0.0}, int64[1] one = {1}, int64[1] three = {3}, int64[2] axes = {2, 3},
        int64[3] flat = {2, 4, 36}, int64[5] large = {3, 2, 4, 6, 6},
        int64[4] sizes = {2, 4, 12, 12}, int64[8] pads = {0, 0, 1, 0, 0, 0, 0, 1}
    >
"""

# One line for every operator that passes a zero on.
ZERO = [
    "out = AveragePool<kernel_shape = [2, 2]>(zero)",
    "out = Cast<to = 1>(zero)",
    "out = DepthToSpace<blocksize = 2>(zero)",
    "out = Div(zero, x)",
    "out = Expand(zero, large)",
    "out = Flatten(zero)",
    "out = Gather(zero, one)",
    "out = Identity(zero)",
    "out = Neg(zero)",
    "out = Pad(zero, pads)",
    "out = ReduceMean(zero, axes)",
    "out = ReduceSum(zero, axes)",
    "out = Relu(zero)",
    "out = Reshape(zero, flat)",
    'out = Resize<mode = "nearest">(zero, , , sizes)',
    "out = Slice(zero, one, three, three)",
    "out = SpaceToDepth<blocksize = 2>(zero)",
    "wide = Unsqueeze(zero, one) out = Squeeze(wide, one)",
    "out = Transpose(zero)",
    "out = Unsqueeze(zero, one)",
    "out = Conv(zero, filters)",
    "out = ConvTranspose(zero, filters)",
    "flat_zero = Flatten(zero) flat_x = Flatten(x) out = Gemm<transB = 1>(flat_zero, flat_x)",
    "out = MatMul(zero, w)",
    "out = MatMul(x, zero)",
    "out = Mul(zero, x)",
    "out = Mul(x, zero)",
    "is = Greater(x, nil) out = Where(is, zero, nil)",
    "out = Add(zero, zero)",
    "out = Concat<axis = 1>(zero, zero)",
    "out = Sub(zero, zero)",
    "out = Sum(zero, zero, zero)",
    "moved = Transpose(zero) scaled = Mul(moved, nil) out = Neg(scaled)",
]

# Lines with another input beside the zero, whose result may differ from zero.
NOT_ZERO = [
    "out = Conv(zero, filters, bias)",
    "out = Concat<axis = 1>(zero, x)",
    "out = Concat<axis = 1>(x, zero, zero)",
    "moved = Transpose(zero) back = Transpose(moved) out = Concat<axis = 0>(back, x)",
    "out = Div(x, zero)",
    "out = Exp(zero)",
    "out = Sub(x, zero)",
    "out = Sub(zero, x)",
    "out = Max(zero, x)",
    "is = Greater(x, nil) out = Where(is, zero, x)",
    "is = Greater(zero, x) out = Where(is, x, nil)",
    "out = Conv(x, filters, bias)",
    "out = Add(zero, x)",
    "out = Sum(x, zero, x, zero)",
    "sum = Add(x, zero) out = Neg(sum)",
    "first = Add(zero, x) second = Mul(first, zero) out = Add(first, second)",
]

SUMS = [
    ("y = Relu(x) out = Add(zero, y)", ["Relu"]),
    ("y = Relu(x) out = Sum(y, zero)", ["Relu"]),
    ("y = Relu(x) out = Sum(y, zero, x)", ["Relu", "Sum"]),
    ("y = Relu(x) z = Neg(zero) a = Add(y, z) b = Mul(z, a) out = Add(b, a)", ["Relu"]),
]


def parse(lines: str) -> ir.Model:
    return ir.from_onnx_text(HEADER + "{" + lines + "}")


def run(model: ir.Model, zero: float) -> np.ndarray:
    """The output, with a value in place of the zeros."""
    random = np.random.default_rng(0)
    feeds = {name: random.standard_normal(shape, np.float32) for name, shape in SHAPES.items()}
    feeds["zero"] = np.full(SHAPES["zero"], zero, np.float32)
    options = ort.SessionOptions()
    options.log_severity_level = 3  # it warns of initialisers that a line does not use
    session = ort.InferenceSession(ir.to_proto(model).SerializeToString(), options)
    return np.array(session.run(None, feeds)[0])  # a copy: it may be an input, passed through


def propagate(model: ir.Model) -> set[ir.Value]:
    known = propagate_zeros(model.graph, [model.graph.inputs[0]])
    passes.RemoveUnusedNodesPass()(model)
    return known


@pytest.mark.parametrize("lines", ZERO)
def test_a_zero_is_followed_through(lines):
    model = parse(lines)
    assert not run(model, zero=0).any()
    assert model.graph.outputs[0] in propagate(model)


def test_every_operator_that_hands_a_zero_on_has_been_tried():
    tables = (
        zero_cotangents.LINEAR_IN_FIRST
        | zero_cotangents.LINEAR_WITHOUT_BIAS
        | zero_cotangents.BILINEAR
    )
    tried = {node.op_type for lines in ZERO for node in parse(lines).graph}
    assert tables <= tried


@pytest.mark.parametrize("lines", NOT_ZERO)
def test_what_is_left_computes_the_same_and_no_longer_looks_at_the_zeros(lines):
    model = parse(lines)
    expected = run(model, zero=0)
    assert expected.any()
    assert model.graph.outputs[0] not in propagate(model)
    # Only their shape may still be read.
    np.testing.assert_array_equal(run(model, zero=np.nan), expected)


@pytest.mark.parametrize(("lines", "left"), SUMS)
def test_a_sum_with_a_zero_is_the_rest_of_it(lines, left):
    model = parse(lines)
    propagate(model)
    assert [node.op_type for node in model.graph] == left


def test_without_a_zero_nothing_changes():
    model = parse("y = Add(zero, x) out = Mul(y, x)")
    before = ir.to_proto(model).SerializeToString()
    assert propagate_zeros(model.graph, []) == set()
    assert ir.to_proto(model).SerializeToString() == before
