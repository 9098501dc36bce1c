"""Weights and activations that a layer needs are counted on its way from the image."""

import onnx
import pytest

from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.graphs.network_load import network_load


def test_vgg16_is_as_simonyan_and_zisserman_print_it():
    forward = Bundle.load("vgg16").read_graph("forward", "avg")
    found = network_load(forward, ["relu1_1", "pool1", "relu4_1"])
    first, second = 3 * 3 * 3 * 64 + 64, 3 * 3 * 64 * 64 + 64
    assert found["relu1_1"][0] == pytest.approx(first, abs=20)  # and the preprocessing
    assert found["pool1"][0] == pytest.approx(first + second, abs=20)
    # Relu overwrites its input; the normalised image has three values a pixel.
    assert found["relu1_1"][1] == pytest.approx(64, abs=4)
    assert found["pool1"][1] == pytest.approx(64 + 64 + 64 / 4, abs=4)
    assert found["relu4_1"][1] == pytest.approx(64 * 2 + 16 + 64 + 8 + 48 + 4 + 8, rel=0.02)


def test_what_a_layer_does_not_see_does_not_count():
    text = (
        '<ir_version: 10, opset_import: ["": 20]> g (float[N,3,H,W] image)'
        " => (float[N,3,H,W] near, float[N,3,H,W] far)"
        " <float[3,3,1,1] w = {1,0,0,0,1,0,0,0,1}> {"
        " near = Conv(image, w) other = Conv(image, w) far = Conv(other, w) }"
    )
    found = network_load(onnx.parser.parse_model(text), ["near", "far"])
    assert found == {"near": (9, 3.0), "far": (9, 6.0)}
