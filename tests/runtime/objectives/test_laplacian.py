"""Laplacian pyramids: packing, the views that undo it, and their pull-back."""

from itertools import pairwise

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from nstbatch.runtime.devices.providers import resolve
from nstbatch.runtime.engine.open_session import open_session
from nstbatch.runtime.graphs.link import link
from nstbatch.runtime.names import GRADIENT, IMAGE, LOSSES, TARGET, WEIGHT
from nstbatch.runtime.objectives.laplacian import SMALLEST_SIDE, Laplacian
from nstbatch.runtime.objectives.terms import content

CPU = resolve("cpu")
SIDES = st.integers(2, 70)

IDENTITY = """
    <ir_version: 9, opset_import: ["" : 20]>
    identity (float[N, C, H, W] image, float[N, C, H, W] "cotangent/a") => (a, gradient) {
        a = Identity(image)
        gradient = Identity("cotangent/a")
    }
"""


def random(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def synthesised(laplacian, packed):
    """The picture of a packed pyramid, by the formula: enlarge bilinearly, add the detail."""
    picture, start = None, 0
    for height, width in laplacian.sizes:
        part = packed[..., start : start + height * width].reshape(*packed.shape[:2], height, width)
        start += height * width
        larger = 0 if picture is None else interpolate(picture, (height, width), mode="bilinear")
        picture = part + larger
    assert start == packed.shape[-1]
    return picture


@given(height=SIDES, width=SIDES)
def test_a_picture_comes_back_from_its_pyramid(height, width):
    laplacian, pictures = Laplacian(height, width), random(2, 3, height, width)
    packed = laplacian.pack(pictures)
    assert packed.shape == (2, 3, 1, laplacian.length)
    np.testing.assert_allclose(laplacian.unpack(packed), pictures, atol=1e-5)
    np.testing.assert_allclose(
        synthesised(laplacian, torch.tensor(packed)).numpy(), pictures, atol=1e-5
    )


@given(height=SIDES, width=SIDES)
def test_each_part_has_half_the_sides_of_the_next(height, width):
    sizes = Laplacian(height, width).sizes
    assert sizes[-1] == (height, width)
    for (h, w), (finer_h, finer_w) in pairwise(sizes):
        assert (h, w) == (finer_h // 2, finer_w // 2)
    assert all(min(size) >= SMALLEST_SIDE for size in sizes[1:-1])


def test_a_flat_picture_has_no_details():
    laplacian = Laplacian(20, 36)
    packed = laplacian.pack(np.full((1, 3, 20, 36), 0.5, np.float32))
    height, width = laplacian.sizes[0]
    np.testing.assert_allclose(packed[..., : height * width], 0.5, atol=1e-6)
    np.testing.assert_allclose(packed[..., height * width :], 0, atol=1e-6)


@given(size=st.sampled_from([(2, 3), (16, 16), (17, 39)]), seed=st.integers(0, 9))
@settings(max_examples=8)
def test_the_network_sees_the_picture_and_the_gradient_goes_back(size, seed):
    laplacian = Laplacian(*size)
    packed, target = (
        random(2, 3, 1, laplacian.length, seed=seed),
        random(2, 3, *size, seed=seed + 1),
    )
    terms = content("a").terms
    graph = link(onnx.parser.parse_model(IDENTITY), terms, 2, laplacian.views)
    inputs = {IMAGE: packed, TARGET + "content/a": target}
    inputs[WEIGHT + "content/a"] = np.array([1, 2], np.float32)
    shapes = {name: values.shape for name, values in inputs.items()}
    outputs = open_session(graph, shapes, CPU, threads=1).run(inputs)

    variable = torch.tensor(packed, dtype=torch.float64, requires_grad=True)
    difference = synthesised(laplacian, variable) - torch.tensor(target)
    losses = torch.tensor([1, 2]) * difference.square().flatten(1).mean(1)
    losses.sum().backward()
    np.testing.assert_allclose(outputs[LOSSES][:, 0], losses.detach().numpy(), rtol=1e-5)
    np.testing.assert_allclose(outputs[GRADIENT], variable.grad.numpy(), atol=1e-6)


@pytest.mark.parametrize("size", [(512, 341), (64, 1024), (3, 500)])
def test_long_pictures_are_halved_until_their_short_side_is_small(size):
    sizes = Laplacian(*size).sizes
    assert 2 <= len(sizes) <= 9
    assert min(sizes[0]) < 2 * SMALLEST_SIDE
