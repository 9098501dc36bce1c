"""A folded graph gives the same results, and none of its nodes depends on weights alone."""

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest

from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.cache.stored_graph import WEIGHTS_FOLDER
from nstbatch.runtime.graphs.folded_weights import with_folded_weights
from nstbatch.runtime.graphs.link import link
from nstbatch.runtime.names import IMAGE, TARGET, WEIGHT
from nstbatch.runtime.objectives.terms import Objective, style

RANDOM = np.random.default_rng(0)


def run(model: onnx.ModelProto, folder, inputs) -> list[np.ndarray]:
    options = ort.SessionOptions()
    options.add_session_config_entry(WEIGHTS_FOLDER, str(folder))
    return ort.InferenceSession(model.SerializeToString(), options).run(None, inputs)


@pytest.mark.parametrize("name", ["vgg16", "alexnet", "squeezenet1_1"])
def test_a_step_stays_what_it_was(name):
    bundle = Bundle.load(name)
    objective = Objective()
    for layer in bundle.style_layers:
        objective += style(layer)
    graph = link(bundle.read_graph("gradient", "max"), objective.terms)
    before = graph.SerializeToString()
    folded = with_folded_weights(graph, bundle.path)
    assert graph.SerializeToString() == before

    inputs = {IMAGE: RANDOM.random((1, 3, 70, 75), dtype=np.float32)}
    for term in objective.terms:
        channels = bundle.layer(term.layer).channels
        inputs[TARGET + term.name] = RANDOM.random((1, channels, channels), dtype=np.float32)
        inputs[WEIGHT + term.name] = np.ones(1, np.float32)
    with_weights_inside = ir.to_proto(ir.external_data.load_to_model(folded))
    for found, expected in zip(
        run(with_weights_inside, "", inputs), run(graph, bundle.path, inputs), strict=True
    ):
        np.testing.assert_array_equal(found, expected)

    for node in folded.graph:
        assert any(value and value.const_value is None for value in node.inputs) or not node.inputs
    assert {tensor.const_value.dtype for tensor in folded.graph.initializers.values()} == {
        ir.DataType.FLOAT,
        ir.DataType.INT64,
    }
