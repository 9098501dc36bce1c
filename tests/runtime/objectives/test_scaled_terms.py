"""The terms with a scaled error, compared with PyTorch, differentiated by autograd in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from one_term import assert_same, autograd, gram, only, random, run_target, run_term

from nstbatch.runtime.objectives.terms import scaled_content, scaled_style, style

SHAPES = st.tuples(*(st.integers(1, size) for size in (3, 5, 7, 8)))


def scaled_error(difference, weight):
    flat = difference.flatten(1)
    return weight * (flat**2).sum(1) / (flat.abs().sum(1) + 1e-8)


def scaled_style_loss(feature, target, weight):
    return scaled_error(gram(feature) - target, weight)


def scaled_content_loss(feature, target, weight):
    return scaled_error(feature - target, weight)


@given(shape=SHAPES, seed=st.integers(0, 99))
@settings(max_examples=15)
def test_the_scaled_content_loss_is_pytorchs(shape, seed):
    image, target = random(*shape, seed=seed), random(*shape, seed=seed + 100)
    weight = np.abs(random(shape[0], seed=seed)) + 0.1
    ours = run_term(only(scaled_content("feature")), image, target, weight)
    assert_same(ours, autograd(scaled_content_loss, image, target, weight))


@given(shape=SHAPES, seed=st.integers(0, 99))
@settings(max_examples=15)
def test_the_scaled_style_loss_is_pytorchs(shape, seed):
    # Brighter, since a difference of almost equal matrices would be that of their rounding.
    image, painting = random(*shape, seed=seed), 4 + random(*shape, seed=seed + 100)
    target = run_target(only(style("feature")), painting)
    weight = np.abs(random(shape[0], seed=seed)) + 0.1
    ours = run_term(only(scaled_style("feature")), image, target, weight)
    assert_same(ours, autograd(scaled_style_loss, image, target, weight))


def test_a_difference_of_nothing_has_no_loss_and_no_pull():
    image = random(2, 5, 6, 7)
    loss, cotangent = run_term(only(scaled_content("feature")), image, image)
    assert not loss.any()
    assert not cotangent.any()


@pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
def test_the_pull_is_as_long_whatever_the_difference(scale):
    """Its L1 norm is about 1, and lies between 0 and 2 by the formula."""
    target = random(1, 5, 6, 7, seed=1)
    difference = scale * random(1, 5, 6, 7)
    _, cotangent = run_term(only(scaled_content("feature")), target + difference, target)
    assert 0.5 < np.abs(cotangent).sum() < 2


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_a_weight_means_the_same_whatever_the_scale_of_the_activations(scale):
    term = only(scaled_content("feature"))
    image, target = random(1, 5, 6, 7), random(1, 5, 6, 7, seed=1)

    def loss(factor):
        weight = term.graph_weight(2.0, factor * target, 1)
        return run_term(term, factor * image, factor * target, weight)[0]

    np.testing.assert_allclose(loss(np.float32(scale)), loss(np.float32(1)), rtol=1e-5)
