"""A Gram matrix is the same in either layout of its features."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.engine.ready_graph import ReadyGraph
from nstbatch.runtime.graphs.gram_products import with_positions_first
from nstbatch.runtime.graphs.link import link
from nstbatch.runtime.names import IMAGE, TARGET, WEIGHT
from nstbatch.runtime.objectives.terms import Objective, style

# Length of bf16 rows from which on OpenVINO has no fast product.
LONG_ROW = 2**20


def model(
    activation="float[2, 5, 6, 7] x",
    scaled="Div(rows, root)",
    turned="Transpose<perm = [0, 2, 1]>(scaled)",
    gram="MatMul(scaled, turned)",
    shape="2, 5, 42",
) -> onnx.ModelProto:
    parsed = onnx.parser.parse_model(
        f"""
        <ir_version: 9, opset_import: ["" : 20]>
        gram ({activation}) => (float[N, C, D] out)
        <
            int64[3] shape = {{{shape}}}, float[1] root = {{3.0}},
            float[42] roots = {{{", ".join(["3.0"] * 42)}}}
        > {{
            rows = Reshape(x, shape)
            scaled = {scaled}
            turned = {turned}
            gram = {gram}
            out = Neg(gram)
        }}
        """
    )
    return onnx.shape_inference.infer_shapes(parsed)


def operators(graph: onnx.ModelProto) -> Counter:
    return Counter(node.op_type for node in graph.graph.node if node.op_type != "Constant")


def run(graph: onnx.ModelProto) -> np.ndarray:
    options = ort.SessionOptions()
    options.log_severity_level = 3  # it warns of initialisers that a case does not use
    session = ort.InferenceSession(graph.SerializeToString(), options)
    (given,) = session.get_inputs()
    activation = np.random.default_rng(0).standard_normal(given.shape, np.float32)
    return session.run(None, {"x": activation})[0]


def test_the_positions_go_first_and_the_numbers_stay(caplog):
    before = model()
    after = with_positions_first(before)
    assert operators(after) == operators(before) + Counter(Transpose=1)
    assert caplog.messages == []
    onnx.checker.check_model(after, full_check=True)
    np.testing.assert_allclose(run(after), run(before), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "case",
    [
        {"activation": "float[2, 5, 42] x"},
        {"activation": "float[2, 5, 2, 3, 7] x"},
        {"scaled": "Div(rows, roots)"},  # roots differ by position
        {"scaled": "Mul(rows, root)"},
        {"turned": "Transpose<perm = [0, 2, 1]>(rows)"},
        {"gram": "MatMul(turned, scaled)"},
        {"shape": "2, 1, 210"},  # channels and positions in one
    ],
    ids=lambda case: str(*case.values()),
)
def test_what_is_no_gram_matrix_stays(case):
    before = model(**case)
    after = with_positions_first(before)
    assert operators(after) == operators(before)
    np.testing.assert_array_equal(run(after), run(before))


@pytest.mark.parametrize("name", ["vgg16", "alexnet", "squeezenet1_1"])
@pytest.mark.parametrize(("device", "long_rows"), [("openvino", False), ("cpu", True)])
def test_openvino_is_handed_no_long_rows(name, device, long_rows):
    bundle = Bundle.load(name)
    objective = Objective()
    for layer in bundle.style_layers:
        objective += style(layer)
    # AlexNet's first layer has a stride of 4.
    shapes = {IMAGE: (1, 3, 4096, 4160)} | {WEIGHT + term.name: (1,) for term in objective.terms}
    for term in objective.terms:
        channels = bundle.layer(term.layer).channels
        shapes[TARGET + term.name] = (1, channels, channels)
    graph = link(bundle.read_graph("gradient", "max"), objective.terms)
    ready = ReadyGraph(graph, shapes, Provider(device, "fp32"), bundle.path)
    handed = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(ready.data)).graph
    sizes = {
        value.name: value.type.tensor_type.shape.dim[-1].dim_value
        for value in handed.value_info
        if value.type.tensor_type.shape.dim
    }
    # A product reads a transposed input in place.
    lies_as = {node.output[0]: node.input[0] for node in handed.node if node.op_type == "Transpose"}
    rows = [
        sizes[lies_as.get(operand, operand)]
        for node in handed.node
        if node.op_type == "MatMul"
        for operand in node.input
    ]
    assert (max(rows) >= LONG_ROW) == long_rows
