"""The priors, compared with their formulas, differentiated by autograd in float64, and the paper's
units.
"""

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nstbatch.runtime.devices.providers import resolve
from nstbatch.runtime.engine.open_session import open_session
from nstbatch.runtime.formulas.priors import MEAN_COLOUR, SMALLEST_SQUARE
from nstbatch.runtime.graphs.link import link
from nstbatch.runtime.names import GRADIENT, IMAGE, LOSSES, WEIGHT
from nstbatch.runtime.objectives.prior_terms import IMAGE_NORM, alpha_norm, total_variation_beta
from nstbatch.runtime.objectives.terms import total_variation

CPU = resolve("cpu")

# A network that the terms do not use.
IDENTITY = """
    <ir_version: 9, opset_import: ["" : 20]>
    identity (float[N, C, H, W] image, float[N, C, H, W] "cotangent/feature")
        => (feature, gradient) {
        feature = Identity(image)
        gradient = Identity("cotangent/feature")
    }
"""
MEAN = np.array(MEAN_COLOUR).reshape(1, 3, 1, 1)


def run(objective, image):
    """Loss (N,) and gradient of an objective of one term."""
    ((weight, term),) = objective.weighted
    inputs = {IMAGE: image, WEIGHT + term.name: term.graph_weight(weight, None, len(image))}
    shapes = {name: values.shape for name, values in inputs.items()}
    graph = link(onnx.parser.parse_model(IDENTITY), objective.terms, len(image))
    outputs = open_session(graph, shapes, CPU, threads=1).run(inputs)
    return outputs[LOSSES][:, 0], outputs[GRADIENT]


def autograd(formula, image):
    variable = torch.tensor(image, dtype=torch.float64, requires_grad=True)
    losses = formula(variable)
    losses.sum().backward()
    return losses.detach().numpy(), variable.grad.numpy()


def levels(image):
    """The image in the paper's units: 0 to 255, minus the mean."""
    return 255 * (image - torch.tensor(MEAN))


def steps(image):
    """Differences to the next pixel below and to the right; zero at the last."""
    down, right = torch.zeros_like(image), torch.zeros_like(image)
    down[:, :, :-1], right[..., :-1] = image.diff(dim=2), image.diff(dim=3)
    return down, right


def pictures(count, height, width, seed=0):
    random = np.random.default_rng(seed).random((count, 3, height, width), dtype=np.float32)
    return random * 1.4 - 0.2  # an optimiser without bounds leaves [0, 1]


def assert_same(ours, theirs):
    for mine, expected in zip(ours, theirs, strict=True):
        assert mine.shape == expected.shape
        assert mine.dtype == np.float32
        assert np.linalg.norm(mine - expected) <= 5e-6 * np.linalg.norm(expected)


SIZES = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))


@given(shape=SIZES, seed=st.integers(0, 99), alpha=st.sampled_from([2, 3, 6, 6.5]))
@settings(max_examples=12)
def test_the_alpha_norm_is_of_the_centred_image(shape, seed, alpha):
    image = pictures(*shape, seed)
    scale = (227 * 227 * 3) / IMAGE_NORM**2

    def formula(x):
        return scale * (levels(x).abs() ** alpha).flatten(1).mean(1)

    assert_same(run(alpha_norm(alpha), image), autograd(formula, image))


@given(shape=SIZES, seed=st.integers(0, 99), beta=st.sampled_from([1, 1.5, 2.5, 3]))
@settings(max_examples=12)
def test_tv_beta_is_of_the_length_of_the_steps(shape, seed, beta):
    image = pictures(*shape, seed)
    scale = 255**beta * (227 * 227 * 3) / IMAGE_NORM**2

    def formula(x):
        down, right = steps(x)
        return scale * ((down**2 + right**2 + SMALLEST_SQUARE) ** (beta / 2)).flatten(1).mean(1)

    assert_same(run(total_variation_beta(beta), image), autograd(formula, image))


def test_a_beta_of_two_is_the_total_variation():
    assert total_variation_beta(2).terms == total_variation().terms


def test_the_general_formula_goes_through_the_special_one():
    image = pictures(2, 6, 7)
    for ours, expected in zip(
        run(total_variation_beta(2 + 1e-6), image), run(total_variation_beta(2), image), strict=True
    ):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("beta", [1, 2])
def test_the_published_weights_mean_what_they_meant(beta):
    """The paper's sums over 227x227 pixels, in levels, divided by the norm squared."""
    image = pictures(1, 227, 227)
    x = levels(torch.tensor(image, dtype=torch.float64))
    down, right = steps(x)
    smooth = float(((down**2 + right**2) ** (beta / 2)).sum()) / IMAGE_NORM**2
    bounded = float((x**6).sum()) / IMAGE_NORM**2
    np.testing.assert_allclose(run(total_variation_beta(beta), image)[0], smooth, rtol=1e-3)
    np.testing.assert_allclose(run(alpha_norm(6), image)[0], bounded, rtol=1e-5)


@pytest.mark.parametrize("objective", [alpha_norm(6), total_variation_beta(1.5)])
def test_a_plain_picture_of_the_mean_colour_has_almost_no_loss(objective):
    image = np.broadcast_to(MEAN, (1, 3, 5, 6)).astype(np.float32)
    loss, gradient = run(objective, image)
    assert loss < 0.01 * run(objective, pictures(1, 5, 6))[0]
    np.testing.assert_allclose(gradient, 0, atol=1e-6)
