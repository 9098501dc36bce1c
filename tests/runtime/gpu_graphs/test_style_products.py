"""The products of style losses are the same as convolutions and as products."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from nstbatch.runtime.gpu_graphs.style_products import with_style_products
from nstbatch.runtime.graphs.link import link
from nstbatch.runtime.graphs.specialise import specialise
from nstbatch.runtime.names import IMAGE, TARGET, WEIGHT
from nstbatch.runtime.objectives.terms import scaled_style, style

# Filters that are computed from weights, as those of a network in half precision are.
NETWORK = """
    <ir_version: 9, opset_import: ["" : 20]>
    network (float[N, C, H, W] image, float[N, C, H, W] "cotangent/a") => (a, gradient)
    < float[5, 5, 1, 1] weights = {WEIGHTS} > {
        filters = Neg(weights)
        a = Conv(image, filters)
        gradient = Conv("cotangent/a", filters)
    }
"""
CHANNELS = 5


def step(objective, pictures: int) -> onnx.ModelProto:
    weights = np.random.default_rng(1).standard_normal(25)
    text = NETWORK.replace("WEIGHTS", ", ".join(map(str, weights)))
    (term,) = objective.terms
    shapes = {
        IMAGE: (pictures, CHANNELS, 6, 7),
        TARGET + term.name: (pictures, CHANNELS, CHANNELS),
        WEIGHT + term.name: (pictures,),
    }
    return specialise(link(onnx.parser.parse_model(text), objective.terms, pictures), shapes)


def operators(graph: onnx.ModelProto) -> Counter:
    return Counter(node.op_type for node in graph.graph.node)


def run(graph: onnx.ModelProto) -> list[np.ndarray]:
    session = ort.InferenceSession(graph.SerializeToString())
    random = np.random.default_rng(0)
    inputs = session.get_inputs()
    feeds = {each.name: random.standard_normal(each.shape, np.float32) for each in inputs}
    return session.run(None, feeds)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("pictures", [1, 3])
@pytest.mark.parametrize("term", [style, scaled_style])
def test_the_convolution_becomes_a_product(term, pictures, channels_last):
    before = step(term("a"), pictures)
    after = with_style_products(before, channels_last=channels_last)
    onnx.checker.check_model(after, full_check=True)
    assert operators(before)["Conv"] == 3
    assert operators(after)["Conv"] == 2  # the network's own, whose filters are computed as well
    assert operators(after)["MatMul"] == operators(before)["MatMul"] + 1
    for found, expected in zip(run(after), run(before), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
