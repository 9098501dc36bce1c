"""The wrapped view: the network sees the tiling, and gradients return to the image."""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nstbatch.runtime.devices.providers import resolve
from nstbatch.runtime.engine.open_session import open_session
from nstbatch.runtime.graphs.link import link
from nstbatch.runtime.names import GRADIENT, IMAGE, LOSSES, TARGET, WEIGHT
from nstbatch.runtime.objectives.terms import content
from nstbatch.runtime.objectives.views import wrapped

CPU = resolve("cpu")

# One layer, a = 3 x.
SCALED = """
    <ir_version: 9, opset_import: ["" : 20]>
    scaled (float[N, C, H, W] image, float[N, C, H, W] "cotangent/a") => (a, gradient)
    <float three = {3.0}> {
        a = Mul(image, three)
        gradient = Mul("cotangent/a", three)
    }
"""


def step(image, target, margin):
    """Losses and gradient of mean (3 seen - target)^2, with weight 1 for each picture."""
    graph = link(onnx.parser.parse_model(SCALED), content("a").terms, len(image), [wrapped(margin)])
    feeds = {
        IMAGE: image,
        TARGET + "content/a": target,
        WEIGHT + "content/a": np.ones(len(image), np.float32),
    }
    session = open_session(
        graph, {name: values.shape for name, values in feeds.items()}, CPU, threads=1
    )
    return session.run(feeds)


@given(
    height=st.integers(3, 9),
    width=st.integers(3, 9),
    margin=st.integers(1, 3),
    seed=st.integers(0, 9),
)
def test_the_network_sees_the_image_going_around(height, width, margin, seed):
    random = np.random.default_rng(seed)
    image = random.standard_normal((2, 3, height, width), dtype=np.float32)
    seen = np.pad(image, ((0, 0), (0, 0), (margin, margin), (margin, margin)), mode="wrap")
    target = random.standard_normal(seen.shape, dtype=np.float32)
    ours = step(image, target, margin)

    difference = 3 * seen.astype(np.float64) - target
    np.testing.assert_allclose(ours[LOSSES][:, 0], (difference**2).mean(axis=(1, 2, 3)), rtol=1e-5)
    # The transposed map: add up by the position that each seen pixel comes from.
    slope = 6 * difference / difference[0].size
    expected = np.zeros(image.shape)
    rows = np.arange(-margin, height + margin) % height
    columns = np.arange(-margin, width + margin) % width
    np.add.at(expected, (slice(None), slice(None), rows[:, None], columns[None]), slope)
    np.testing.assert_allclose(ours[GRADIENT], expected, atol=1e-5)


@pytest.mark.parametrize("shift", [1, 4])
def test_a_picture_that_is_moved_around_its_edges_has_its_gradient_moved(shift):
    """If every pixel is seen equally often, no position of a tiling is special."""
    random = np.random.default_rng(1)
    image = random.standard_normal((1, 3, 6, 6), dtype=np.float32)
    flat = np.zeros((1, 3, 18, 18), np.float32)  # the margin is a whole picture
    plain = step(image, flat, 6)
    moved = step(np.roll(image, shift, axis=(2, 3)), flat, 6)
    np.testing.assert_allclose(moved[LOSSES], plain[LOSSES], rtol=1e-5)
    np.testing.assert_allclose(
        moved[GRADIENT], np.roll(plain[GRADIENT], shift, axis=(2, 3)), rtol=1e-4, atol=1e-6
    )
