"""The style losses by name, compared with PyTorch, differentiated by autograd in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from one_term import assert_same, autograd, gram, only, random, run_target, run_term

from nstbatch.runtime.checks import ERRORS, STYLE_LOSS_NAMES
from nstbatch.runtime.objectives.style_losses import (
    STYLE_LOSSES,
    shifted_gram,
    shifts_of,
    sliced,
)

SHAPES = st.tuples(*(st.integers(1, size) for size in (3, 5)), *(st.integers(4, 9),) * 2)


def shifted_grams(feature, shift):
    """Written from the paper: the products of features at places that lie a shift apart."""
    found = []
    for later, earlier in (
        (feature[:, :, shift:], feature[:, :, :-shift]),
        (feature[..., shift:], feature[..., :-shift]),
    ):
        flat = later.flatten(2) @ earlier.flatten(2).mT
        found.append(flat / later[0].numel())
    return torch.cat(found, 1)


@given(shape=SHAPES, shift=st.integers(1, 3), seed=st.integers(0, 99))
@settings(max_examples=15)
def test_the_shifted_gram_loss_is_pytorchs(shape, shift, seed):
    term = only(shifted_gram("feature", shift))
    image, exemplar = random(*shape, seed=seed), random(*shape, seed=seed + 100)
    weight = np.abs(random(shape[0], seed=seed)) + 0.1
    target = run_target(term, exemplar)
    expected = shifted_grams(torch.tensor(exemplar, dtype=torch.float64), shift)
    np.testing.assert_allclose(target, expected, rtol=1e-5, atol=1e-6)

    def loss(feature, target, weight):
        return weight * ((shifted_grams(feature, shift) - target) ** 2).mean((1, 2))

    assert_same(run_term(term, image, target, weight), autograd(loss, image, target, weight))


def test_a_shift_of_a_pattern_by_its_period_is_its_own_gram_matrix():
    tile = random(1, 3, 4, 4)
    pattern = np.tile(tile, (1, 1, 4, 4))
    shifted = run_target(only(shifted_gram("feature", 4)), pattern)
    (own,) = gram(torch.tensor(pattern)).numpy()
    np.testing.assert_allclose(shifted[0, :3], own, atol=1e-5)
    np.testing.assert_allclose(shifted[0, 3:], own, atol=1e-5)
    other = run_target(only(shifted_gram("feature", 2)), pattern)
    assert np.abs(other[0, :3] - own).max() > 0.05


# --- Sliced Wasserstein -----------------------------------------------------------------------


def unit_directions(channels):
    """The formula's own directions, seen from outside: the quantiles of unit activations.

    An activation that is 1 in one channel, everywhere, is projected on that channel's column.
    """
    term = only(sliced("feature"))
    columns = []
    for channel in range(channels):
        image = np.zeros((1, channels, 4, 4), np.float32)
        image[:, channel] = 1
        columns.append(run_target(term, image)[0, :, 0])
    return np.stack(columns, 1)


@pytest.mark.parametrize("channels", [1, 3, 64])
def test_the_directions_have_length_one_and_span_the_space(channels):
    directions = unit_directions(channels)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, rtol=1e-5)
    assert np.linalg.matrix_rank(directions, tol=1e-4) == channels


def test_the_directions_are_as_different_as_random_ones():
    directions = unit_directions(64)
    cosines = directions @ directions.T - np.eye(64)
    # The cosine of two random directions varies by 1 / sqrt(C); the largest of 2016 pairs lies
    # within five times that.
    assert np.abs(cosines).max() < 5 / 8
    assert cosines.std() == pytest.approx(1 / 8, rel=0.15)
    assert np.abs(directions.mean()) < 0.01


def resampled(values, length):
    return torch.nn.functional.interpolate(values, length, mode="linear", align_corners=False)


def hands_of(feature, directions):
    """(N, C, K, M): written from the definition, each hand sorted from large to small."""
    flat = directions @ feature.flatten(2)
    many = flat.shape[2] // 2048 * 2 + 1
    size = flat.shape[2] // many
    dealt = flat[:, :, : size * many].unflatten(2, (size, many))
    return dealt.sort(2, descending=True).values


@pytest.mark.parametrize("shape", [(2, 3, 9, 7), (1, 5, 64, 65), (1, 2, 1, 1)])
def test_the_sliced_loss_is_pytorchs(shape):
    term = only(sliced("feature"))
    directions = torch.tensor(unit_directions(shape[1]), dtype=torch.float64)
    image, exemplar = random(*shape), random(1, shape[1], 11, 13, seed=1)
    weight = np.abs(random(shape[0], seed=2)) + 0.1
    target = run_target(term, exemplar)
    hands = hands_of(torch.tensor(exemplar, dtype=torch.float64), directions).mean(3)
    np.testing.assert_allclose(target, resampled(hands, 256), rtol=1e-4, atol=1e-5)

    def loss(feature, target, weight):
        hands = hands_of(feature, directions)
        sought = resampled(target, hands.shape[2])
        return weight * ((hands - sought[..., None]) ** 2).mean((1, 2, 3))

    ours = run_term(term, image, target, weight)
    theirs = autograd(loss, image, np.repeat(target, shape[0], 0), weight)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-5)
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-5 * np.abs(theirs[1]).max())


def test_the_sliced_loss_does_not_know_where_a_column_lies():
    term = only(sliced("feature"))
    image = random(1, 4, 8, 8)
    shuffled = np.random.default_rng(0).permutation(image.reshape(1, 4, 64), axis=2)
    target = run_target(term, image)
    same, _ = run_term(term, shuffled.reshape(image.shape), target)
    other, _ = run_term(term, random(1, 4, 8, 8, seed=1), target)
    assert same < 0.01 * other


# --- The table --------------------------------------------------------------------------------


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("name", STYLE_LOSS_NAMES)
@pytest.mark.parametrize("stride", [1, 8, 32])
def test_the_weights_of_every_loss_sum_to_one(name, stride, error):
    objective = STYLE_LOSSES[name][error]("feature", stride)
    assert sum(objective.weights.values()) == pytest.approx(1)
    assert len(objective.weights) == len(objective.terms)
    assert objective.layers == ["feature"] * len(objective.terms)


def test_every_name_has_a_loss():
    assert set(STYLE_LOSSES) == set(STYLE_LOSS_NAMES)


def test_shifts_are_in_pixels():
    assert shifts_of(1) == (16, 32, 64)
    assert shifts_of(8) == (2, 4, 8)
    assert shifts_of(32) == (1, 2)
