"""Each term, compared with its formula in PyTorch, differentiated by autograd in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from one_term import assert_same, autograd, gram, only, random, run_target, run_term

from nstbatch.runtime.objectives import terms
from nstbatch.runtime.objectives.terms import Objective, content, style, total_variation

SHAPES = st.tuples(*(st.integers(1, size) for size in (3, 5, 7, 8)))
PICTURES = pytest.mark.parametrize("pictures", [1, 3])


def content_loss(feature, target, weight):
    return weight * ((feature - target) ** 2).flatten(1).mean(1)


def style_loss(feature, target, weight):
    return weight * ((gram(feature) - target) ** 2).flatten(1).mean(1)


def total_variation_loss(image, weight):
    """Total variation pixel by pixel: differences to the right and down, except at the edges."""
    loss = 0 * image.sum((1, 2, 3))
    for row in range(image.shape[2]):
        for column in range(image.shape[3]):
            here = image[:, :, row, column]
            if row + 1 < image.shape[2]:
                loss = loss + ((image[:, :, row + 1, column] - here) ** 2).sum(1)
            if column + 1 < image.shape[3]:
                loss = loss + ((image[:, :, row, column + 1] - here) ** 2).sum(1)
    return weight * loss / image[0].numel()


# --- Content ----------------------------------------------------------------------------------


@given(shape=SHAPES, seed=st.integers(0, 99))
@settings(max_examples=15)
def test_content_loss_is_the_mean_squared_difference(shape, seed):
    image, target = random(*shape, seed=seed), random(*shape, seed=seed + 100)
    weight = np.abs(random(shape[0], seed=seed)) + 0.1
    ours = run_term(only(content("feature")), image, target, weight)
    assert_same(ours, autograd(content_loss, image, target, weight))


@pytest.mark.parametrize("shape", [(2, 7), (2, 7, 3)])
def test_content_loss_is_over_as_many_axes_as_a_layer_has(shape):
    activation, target = random(*shape), random(*shape, seed=1)
    weight = np.array([0.5, 3], np.float32)
    ours = run_term(only(content("feature")), activation, target, weight)
    assert_same(ours, autograd(content_loss, activation, target, weight))


def test_the_content_of_a_picture_is_nothing_away_from_itself():
    image = random(2, 5, 6, 7)
    loss, cotangent = run_term(only(content("feature")), image, image)
    assert not loss.any()
    assert not cotangent.any()


def test_the_target_of_content_is_the_activation_itself():
    image = random(2, 5, 6, 7)
    np.testing.assert_array_equal(run_target(only(content("feature")), image), image)


# --- Style ------------------------------------------------------------------------------------


@given(shape=SHAPES, seed=st.integers(0, 99))
@settings(max_examples=15)
def test_style_loss_is_the_mean_squared_difference_of_gram_matrices(shape, seed):
    # A painting need not have the photo's size. This one is brighter, since the difference of two
    # nearly equal Gram matrices loses all precision.
    image, painting = np.tanh(random(*shape, seed=seed)), 2 + random(*shape[:2], 9, 4) ** 2
    weight = np.abs(random(shape[0], seed=seed)) + 0.1
    target = gram(torch.tensor(painting)).numpy()
    ours = run_term(only(style("feature")), image, target, weight)
    assert_same(ours, autograd(style_loss, image, target, weight))


@PICTURES
def test_the_target_of_style_is_the_gram_matrix(pictures):
    image = random(pictures, 5, 6, 7)
    expected = gram(torch.tensor(image, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(run_target(only(style("feature")), image), expected, atol=1e-6)


def test_every_picture_of_a_batch_has_its_own_style():
    image, targets = random(3, 4, 6, 7), gram(torch.tensor(random(3, 4, 5, 5, seed=1))).numpy()
    weights = np.array([1, 2, 3], np.float32)
    losses, cotangents = run_term(only(style("feature")), image, targets, weights)
    for n in range(3):
        one = slice(n, n + 1)
        alone = run_term(only(style("feature")), image[one], targets[one], weights[one])
        np.testing.assert_allclose(losses[one], alone[0], rtol=1e-6)
        np.testing.assert_allclose(cotangents[one], alone[1], rtol=1e-5, atol=1e-7)


def test_one_style_serves_a_whole_batch():
    image, target = random(3, 4, 6, 7), gram(torch.tensor(random(1, 4, 5, 5, seed=1))).numpy()
    weight = np.ones(3, np.float32)
    ours = run_term(only(style("feature")), image, target)
    assert_same(ours, autograd(style_loss, image, target, weight))


# --- Total variation --------------------------------------------------------------------------


@given(shape=SHAPES, seed=st.integers(0, 99))
@settings(max_examples=15)
def test_total_variation_is_of_every_step_to_a_next_pixel(shape, seed):
    image, weight = random(*shape, seed=seed), np.abs(random(shape[0], seed=seed)) + 0.1
    ours = run_term(only(total_variation()), image, weight=weight)
    assert_same(ours, autograd(total_variation_loss, image, weight))


def test_a_flat_picture_has_no_variation_up_to_its_border():
    loss, cotangent = run_term(only(total_variation()), np.full((1, 3, 5, 6), 0.7, np.float32))
    assert not loss.any()
    assert not cotangent.any()


# --- Weights ----------------------------------------------------------------------------------


@given(scale=st.floats(1e-6, 1e6))
def test_a_weight_means_the_same_whatever_the_scale_of_the_activations(scale):
    term, image, reference = (
        only(content("feature")),
        random(1, 4, 5, 6),
        random(1, 4, 5, 6, seed=1),
    )
    weight = term.graph_weight(3.0, reference, 1)
    scaled_weight = term.graph_weight(3.0, reference * np.float32(scale), 1)
    expected = 3 * np.mean((image - reference) ** 2) / np.mean(reference**2)
    difference = np.square((image - reference) * np.float32(scale)).mean()
    np.testing.assert_allclose(weight[0] * np.mean((image - reference) ** 2), expected, rtol=1e-5)
    np.testing.assert_allclose(scaled_weight[0] * difference, expected, rtol=1e-5)


def test_every_picture_is_measured_by_its_own_target():
    target = np.stack([np.full((4, 4), value, np.float32) for value in (1, 2, 10)])
    weights = only(style("feature")).graph_weight(20.0, target, 3)
    np.testing.assert_allclose(weights, [20, 5, 0.2], rtol=1e-6)
    assert weights.dtype == np.float32


def test_one_target_measures_a_whole_batch():
    weights = only(style("feature")).graph_weight(20.0, np.full((1, 4, 4), 2, np.float32), 3)
    np.testing.assert_allclose(weights, [5, 5, 5], rtol=1e-6)


def test_a_target_larger_than_a_piece_counts_as_a_whole(monkeypatch):
    monkeypatch.setattr(terms, "_PIECE", 100)
    target = random(2, 3, 11, 17)
    weights = only(content("feature")).graph_weight(5.0, target, 2)
    squares = np.mean(target.astype(np.float64) ** 2, axis=(1, 2, 3))
    np.testing.assert_allclose(weights, 5.0 / squares, rtol=1e-6)


def test_a_term_without_a_target_keeps_its_weight():
    weights = only(total_variation()).graph_weight(7.0, None, 2)
    np.testing.assert_array_equal(weights, np.array([7, 7], np.float32))


def test_the_weight_of_a_sum_counts_every_value():
    mean, summed = 7 * total_variation(), 7 * total_variation(of_sum=True)
    (weights,) = summed.graph_weights({}, (2, 3, 5, 4)).values()
    np.testing.assert_array_equal(weights, np.array([7 * 60, 7 * 60], np.float32))
    (weights,) = mean.graph_weights({}, (2, 3, 5, 4)).values()
    np.testing.assert_array_equal(weights, np.array([7, 7], np.float32))


@pytest.mark.parametrize("value", [0, 1e-30])
def test_a_target_of_nothing_leaves_the_weight_finite(value):
    target = np.full((1, 4, 4), value, np.float32)
    assert np.isfinite(only(style("feature")).graph_weight(1000.0, target, 1)).all()


# --- Objectives -------------------------------------------------------------------------------


def test_objectives_add_and_scale_like_numbers():
    whole = 2 * (5 * content("relu4_2") + 0.5 * style("relu1_1")) + total_variation()
    assert whole.weights == {"content/relu4_2": 10, "style/relu1_1": 1, "tv": 1}
    assert [term.layer for term in whole.terms] == ["relu4_2", "relu1_1", None]


def test_an_objective_describes_itself():
    objective = 5 * content("relu4_2") + 1e-3 * style("fire5/concat") + total_variation()
    assert str(objective) == "5 content/relu4_2 + 0.001 style/fire5/concat + 1 tv"


def test_objectives_are_values():
    assert 2 * style("a") == 2 * style("a")
    assert hash(style("a").terms) == hash(style("a").terms)
    assert style("a").terms != style("b").terms != content("b").terms
    assert str(Objective()) == ""
    assert Objective() + style("a") == style("a")
