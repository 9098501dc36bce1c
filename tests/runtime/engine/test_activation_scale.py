"""The scale that brings a network's activations to half precision."""

import numpy as np
import onnx
import pytest

from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.devices.providers import resolve
from nstbatch.runtime.engine.activation_scale import (
    LARGEST,
    activation_scale,
    extreme_pictures,
    scale_for,
    with_largest,
)
from nstbatch.runtime.engine.open_session import open_session


@pytest.mark.parametrize(
    ("model", "pooling", "scale"),
    [
        ("vgg16", "max", 1.0),
        ("alexnet", "max", 1.0),
        ("squeezenet1_1", "avg", 0.5),
        ("squeezenet1_1", "max", 0.25),
    ],
)
def test_networks_of_pixels_up_to_255_are_scaled_down(model, pooling, scale):
    assert activation_scale(Bundle.load(model), pooling, threads=1) == scale


@pytest.mark.parametrize(
    ("largest", "scale"), [(0.0, 1.0), (2000.0, 1.0), (2048.0, 0.5), (1e6, 2.0**-9)]
)
def test_a_scale_is_a_power_of_two_that_leaves_a_margin(largest, scale):
    assert scale_for(largest) == scale
    assert largest * scale <= 65504 / 32


def test_the_largest_value_of_any_node_is_found():
    graph = onnx.parser.parse_model(
        """
        <ir_version: 9, opset_import: ["" : 20]>
        network (float[N, 3, H, W] image) => (float[N, 3, H, W] out)
        <float[3, 3, 1, 1] large = {-700, 0, 0, 0, 1, 0, 0, 0, 1}, float small = {0.001}> {
            inner = Conv(image, large)
            out = Mul(inner, small)
        }
        """
    )
    session = open_session(with_largest(graph), {"image": (1, 3, 2, 2)}, resolve("cpu"), threads=1)
    found = session.run({"image": np.ones((1, 3, 2, 2), np.float32)})
    assert found[LARGEST] == 700


def test_extreme_pictures_hold_white_black_and_all_saturated_colours():
    pictures = extreme_pictures(16)
    assert pictures.dtype == np.float32
    assert set(np.unique(pictures)) == {0, 1}
    flat = [picture for picture in pictures if (picture == picture[:, :1, :1]).all()]
    assert len({tuple(picture[:, 0, 0]) for picture in flat}) == 8
    assert len(pictures) > len(flat)
