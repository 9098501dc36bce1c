"""Crops: values and gradient against PyTorch's resampling, and what is drawn."""

import numpy as np
import onnx
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from nstbatch.runtime.devices.providers import resolve
from nstbatch.runtime.engine.open_session import open_session
from nstbatch.runtime.graphs.link import link
from nstbatch.runtime.names import GRADIENT, IMAGE, LOSSES, TARGET, WEIGHT
from nstbatch.runtime.objectives.crops import CROPS, Crops, resampling
from nstbatch.runtime.objectives.terms import content

CPU = resolve("cpu")

IDENTITY = """
    <ir_version: 9, opset_import: ["" : 20]>
    identity (float[N, C, H, W] image, float[N, C, H, W] "cotangent/a") => (a, gradient) {
        a = Identity(image)
        gradient = Identity("cotangent/a")
    }
"""


def run(image, target, drawn):
    """Losses (K, 1) of |crop - target|^2 / elements, and the gradient in the picture."""
    graph = link(onnx.parser.parse_model(IDENTITY), content("a").terms, 1, [CROPS])
    feeds = {IMAGE: image, TARGET + "content/a": target, WEIGHT + "content/a": np.ones(1)} | drawn
    feeds = {name: values.astype(np.float32) for name, values in feeds.items()}
    shapes = {name: values.shape for name, values in feeds.items()}
    outputs = open_session(graph, shapes, CPU, threads=1).run(feeds)
    return outputs[LOSSES], outputs[GRADIENT]


@given(seed=st.integers(0, 99), side=st.integers(3, 9), count=st.integers(1, 3))
@settings(max_examples=12)
def test_value_and_gradient_are_those_of_pytorch(seed, side, count):
    """The losses of all crops, one by one; the gradient in the picture is of their sum."""
    random = np.random.default_rng(seed)
    image = random.random((1, 3, 11, 14), dtype=np.float32)
    target = random.random((count, 3, side, side), dtype=np.float32)
    drawn = Crops(count, side, 0.3, 1.0, 0.1).random(11, 14, seed)()
    rows, columns, noise = (
        torch.tensor(drawn[name], dtype=torch.float64) for name in CROPS.graph_inputs
    )
    variable = torch.tensor(image, dtype=torch.float64, requires_grad=True)
    seen = torch.einsum("kzsh,nchw,kzwt->kcst", rows, variable, columns) + noise
    expected = ((seen - torch.tensor(target)) ** 2).mean((1, 2, 3))
    expected.sum().backward()
    losses, gradient = run(image, target, drawn)
    np.testing.assert_allclose(losses[:, 0], expected.detach().numpy(), rtol=1e-4)
    error = np.linalg.norm(gradient - variable.grad.numpy())
    assert error <= 1e-4 * np.linalg.norm(variable.grad.numpy())


@given(start=st.floats(0, 4), length=st.floats(2, 7))
def test_an_enlarged_part_is_bilinear(start, length):
    values = np.random.default_rng(0).random(11)
    samples = 9
    places = (start + (np.arange(samples) + 0.5) * length / samples) / 11 * 2 - 1
    grid = torch.zeros(1, 1, samples, 2, dtype=torch.float64)
    grid[..., 0] = torch.tensor(places)
    expected = functional.grid_sample(
        torch.tensor(values)[None, None, None],
        grid,
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    found = resampling(11, start, length, samples) @ values
    np.testing.assert_allclose(found, expected[0, 0, 0], atol=1e-5)


def test_a_reduced_picture_is_antialiased():
    picture = torch.tensor(np.random.default_rng(0).random((1, 1, 13, 17)))
    expected = functional.interpolate(picture, (5, 6), mode="bilinear", antialias=True)
    found = resampling(13, 0, 13, 5) @ picture[0, 0].numpy() @ resampling(17, 0, 17, 6).T
    np.testing.assert_allclose(found, expected[0, 0], atol=1e-5)


def test_crops_are_drawn_within_their_sizes_and_the_picture():
    """The weights of a row say where its sample lies; those of a crop, how far it reaches."""
    crops = Crops(5, 8, 0.25, 0.5, 0.0)
    draw = crops.random(64, 32, 0)
    rows_seen = set()
    for _ in range(20):
        rows, columns, noise = draw().values()
        assert rows.shape == (5, 1, 8, 64)
        assert columns.shape == (5, 1, 32, 8)
        assert not noise.any()
        for matrix, pixels in ((rows, 64), (columns.transpose(0, 1, 3, 2), 32)):
            places = matrix[:, 0] @ np.arange(pixels)
            lengths = (places[:, -1] - places[:, 0]) * 8 / 7
            assert (lengths > 0.25 * pixels - 1).all()
            assert (lengths < 0.5 * pixels + 1).all()
        rows_seen.add(round(float(rows[0, 0, 0] @ np.arange(64))))
    assert len(rows_seen) > 10


def test_seeds_repeat_and_noise_has_its_deviation():
    draw, again, other = (Crops(2, 40, 0.5, 1.0, 0.08).random(50, 50, seed) for seed in (1, 1, 2))
    for _ in range(2):
        first, second, third = draw(), again(), other()
        for name in first:
            np.testing.assert_array_equal(first[name], second[name])
            assert (first[name] != third[name]).any()
        assert abs(first[CROPS.graph_inputs[2]].std() - 0.08) < 0.005
