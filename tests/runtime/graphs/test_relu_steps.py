"""Every form of the step function gives the same results."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.engine.ready_graph import ReadyGraph
from nstbatch.runtime.graphs.relu_steps import with_comparisons

VALUES = np.array([-1e38, -1, -1e-20, -0.0, 0, 1e-20, 1e-3, 1, 1e38], np.float32)


def activation(nodes: str) -> onnx.ModelProto:
    """A graph from ``a`` to ``passed``: nodes that compute ``step`` of ``a``, then a product."""
    return onnx.parser.parse_model(f"""<ir_version: 9, opset_import: ["" : 20]>
        relu (float[9] a, float[9] g) => (float[9] passed, float[9] step) {{
            {nodes}
            passed = Mul(g, step)
        }}""")


def operators(model: onnx.ModelProto) -> Counter:
    return Counter(node.op_type for node in model.graph.node)


def run(model: onnx.ModelProto) -> list[np.ndarray]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"a": VALUES, "g": np.full(9, 3, np.float32)})


STEP = activation("step = HardSigmoid<alpha = 1e38, beta = 0.0>(a)")


def test_a_comparison_passes_what_a_steep_hardsigmoid_passes():
    compared = with_comparisons(STEP)
    assert operators(compared) == Counter(Constant=1, Greater=1, Cast=1, Mul=1)
    passed, step = run(compared)
    np.testing.assert_array_equal(step, [0, 0, 0, 0, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal(passed, 3 * step)
    np.testing.assert_array_equal(run(STEP), [passed, step])


@pytest.mark.parametrize(
    "node",
    [
        "HardSigmoid<alpha = 0.16666667, beta = 0.5>(a)",  # torch.nn.Hardsigmoid
        "HardSigmoid<alpha = 1e38, beta = 1.0>(a)",
        "HardSigmoid<alpha = 2.0, beta = 0.0>(a)",
        "HardSigmoid(a)",
    ],
)
def test_what_is_no_step_stays(node):
    model = activation(f"step = {node}")
    assert operators(with_comparisons(model)) == operators(model)


@pytest.mark.parametrize("rule", ["gradient", "guided"])
@pytest.mark.parametrize("name", ["vgg16", "alexnet", "squeezenet1_1"])
def test_every_step_of_a_built_in_network_is_found(name, rule):
    graph = Bundle.load(name).read_graph(rule, "max")
    steps = operators(graph)["HardSigmoid"]
    compared = operators(with_comparisons(graph))
    assert steps == compared["Greater"] - operators(graph)["Greater"] > 0
    assert compared["HardSigmoid"] == 0


@pytest.mark.parametrize(("device", "remaining"), [("openvino", 0), ("cpu", 1), ("cuda", 1)])
def test_openvino_is_handed_comparisons(device, remaining):
    ready = ReadyGraph(STEP, {"a": (9,), "g": (9,)}, Provider(device, "fp32"), None)
    assert operators(onnx.load_model_from_string(ready.data))["HardSigmoid"] == remaining
