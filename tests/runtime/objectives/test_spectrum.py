"""The spectrum: its transform, its pull-back and its windows."""

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nstbatch.runtime.devices.providers import resolve
from nstbatch.runtime.engine.open_session import open_session
from nstbatch.runtime.graphs.link import link
from nstbatch.runtime.names import GRADIENT, IMAGE, LOSSES, TARGET, WEIGHT
from nstbatch.runtime.objectives.spectrum import COLOURS, SPECTRUM, Spectrum, cosines
from nstbatch.runtime.objectives.terms import content

CPU = resolve("cpu")
SMALL = Spectrum(12, 15)

IDENTITY = """
    <ir_version: 9, opset_import: ["" : 20]>
    identity (float[N, C, H, W] image, float[N, C, H, W] "cotangent/a") => (a, gradient) {
        a = Identity(image)
        gradient = Identity("cotangent/a")
    }
"""


def coefficients(spectrum, seed=0):
    return spectrum.first_coefficients(seed) * 30


def inputs(spectrum, window=(0.0, 0.0, 1.0)):
    return spectrum.constants() | spectrum.window(*window)


def run(spectrum, image, target, window):
    """Loss and gradient of the content |seen - target|^2 / elements."""
    terms = content("a").terms
    graph = link(onnx.parser.parse_model(IDENTITY), terms, 1, [SPECTRUM])
    feeds = {IMAGE: image, TARGET + "content/a": target, WEIGHT + "content/a": np.ones(1)}
    feeds |= inputs(spectrum, window)
    feeds = {name: values.astype(np.float32) for name, values in feeds.items()}
    shapes = {name: values.shape for name, values in feeds.items()}
    outputs = open_session(graph, shapes, CPU, threads=1).run(feeds)
    return outputs[LOSSES][0, 0], outputs[GRADIENT]


def seen(image, rows, columns, scale, colours):
    planes = rows @ (image * scale) @ columns
    return torch.sigmoid(torch.einsum("ij,njhw->nihw", colours[..., 0, 0], planes))


@given(
    seed=st.integers(0, 99),
    window=st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.7, 1.5)),
)
@settings(max_examples=15)
def test_the_pull_back_is_the_transposed_derivative(seed, window):
    image, target = coefficients(SMALL, seed), SMALL.picture(coefficients(SMALL, seed + 1))
    loss, gradient = run(SMALL, image, target, window)
    variable = torch.tensor(image, dtype=torch.float64, requires_grad=True)
    others = (torch.tensor(v, dtype=torch.float64) for v in inputs(SMALL, window).values())
    scale, colours, rows, columns = others
    expected = ((seen(variable, rows, columns, scale, colours) - torch.tensor(target)) ** 2).mean()
    expected.backward()
    np.testing.assert_allclose(loss, expected.item(), rtol=1e-4)
    error = np.linalg.norm(gradient - variable.grad.numpy())
    assert error <= 1e-5 * np.linalg.norm(variable.grad.numpy())


def test_the_network_sees_the_picture_through_the_plain_window():
    image = coefficients(SMALL)
    loss, gradient = run(SMALL, image, SMALL.picture(image), (0.0, 0.0, 1.0))
    assert loss < 1e-12
    assert np.abs(gradient).max() < 1e-7


@pytest.mark.parametrize("pixels", [1, 2, 9, 16])
def test_the_cosines_are_orthonormal(pixels):
    waves = cosines(pixels, 0.0, 1.0)
    np.testing.assert_allclose(waves @ waves.T, np.eye(pixels), atol=1e-6)


@given(shift=st.integers(-6, 6))
def test_a_window_moved_by_whole_pixels_shows_the_picture_moved_and_mirrored(shift):
    values = np.random.default_rng(0).standard_normal(9)
    shown = cosines(9, shift, 1.0) @ (cosines(9, 0.0, 1.0).T @ values)
    mirrored = np.concatenate([values[::-1], values, values[::-1]])
    np.testing.assert_allclose(shown, mirrored[9 + shift : 18 + shift], atol=1e-5)


def test_a_magnified_wave_is_longer():
    """A single wave keeps its value in the middle and is stretched around it."""
    wave = np.zeros(64)
    wave[4] = 1
    plain, large = cosines(64, 0.0, 1.0) @ wave, cosines(64, 0.0, 2.0) @ wave
    places = np.arange(31) + 16.25
    expected = np.interp(places, np.arange(64), plain)
    np.testing.assert_allclose(large[1:63:2], expected, atol=0.001)


def test_what_a_smaller_picture_cannot_show_is_left_out():
    assert not cosines(20, 0.0, 0.5)[:, 10:].any()
    assert cosines(20, 0.0, 0.5)[:, :10].any(axis=0).all()


def test_the_first_picture_is_nearly_grey_and_its_spectrum_falls():
    spectrum = Spectrum(64, 64)
    picture = spectrum.picture(spectrum.first_coefficients(0))
    assert picture.shape == (1, 3, 64, 64)
    assert abs(picture.mean() - 0.5) < 0.05
    assert 0.001 < picture.std() < 0.1
    # Neighbouring pixels are similar, as in photographs and unlike in white noise.
    steps = np.diff(picture, axis=3).std()
    assert steps < picture.std()


def test_seeds_repeat():
    spectrum = Spectrum(10, 12)
    np.testing.assert_array_equal(spectrum.first_coefficients(3), spectrum.first_coefficients(3))
    assert (spectrum.first_coefficients(3) != spectrum.first_coefficients(4)).any()
    draw, again, other = (spectrum.random_window(4, 1.2, seed) for seed in (1, 1, 2))
    for _ in range(3):
        first, second, third = draw(), again(), other()
        for name in first:
            np.testing.assert_array_equal(first[name], second[name])
            assert (first[name] != third[name]).any()


def test_colours_are_those_of_a_photograph():
    """The first axis is brightness, the longest, and of unit length."""
    lengths = np.linalg.norm(COLOURS, axis=0)
    assert lengths[0] == pytest.approx(1)
    assert lengths[0] > lengths[1] > lengths[2]
    assert np.ptp(COLOURS[:, 0]) < 0.05
