"""Each term, compared with its formula in PyTorch, differentiated by autograd in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from one_term import assert_same, autograd, only, random, run_target, run_term

from nstbatch.runtime.objectives.dream_terms import energy, guide, likelihood, score

SHAPES = st.tuples(*(st.integers(1, size) for size in (3, 6, 7, 8)))
LAYER = "feature"


def weights(pictures, seed):
    return np.abs(random(pictures, seed=seed)) + np.float32(0.1)


def energy_loss(feature, chosen, weight):
    return -weight * (chosen * feature**2).flatten(1).mean(1) / 2


def guide_loss(feature, guide_rows, weight):
    """Position by position: the largest dot product with a row of the guide."""
    total = 0 * feature.sum((1, 2, 3))
    for row in range(feature.shape[2]):
        for column in range(feature.shape[3]):
            total = total + (feature[:, :, row, column] @ guide_rows.T).max(1).values
    return -weight * total / feature[0].numel()


def score_loss(feature, chosen, weight):
    return -weight * (feature.flatten(2).mean(2) * chosen.flatten()).sum(1)


def likelihood_loss(feature, chosen, weight):
    classes = chosen.flatten().argmax().expand(len(feature))
    scores = feature.flatten(2).mean(2)
    return weight * torch.nn.functional.cross_entropy(scores, classes, reduction="none")


@given(shape=SHAPES, seed=st.integers(0, 99))
@settings(max_examples=15)
def test_energy_is_half_the_mean_square_of_the_chosen_channels(shape, seed):
    feature, weight = random(*shape, seed=seed), weights(shape[0], seed)
    chosen = (random(1, shape[1], 1, 1, seed=seed) > 0).astype(np.float32)
    ours = run_term(only(energy(LAYER)), feature, chosen, weight)
    assert_same(ours, autograd(energy_loss, feature, chosen, weight))


def test_channels_that_are_not_chosen_do_not_count():
    feature, chosen = random(2, 4, 5, 5), np.zeros((1, 4, 1, 1), np.float32)
    chosen[:, 1:3] = 1
    others = feature.copy()
    others[:, [0, 3]] = 100
    plain, changed = (
        run_term(only(energy(LAYER)), f, chosen, np.ones(2, np.float32)) for f in (feature, others)
    )
    np.testing.assert_array_equal(plain[0], changed[0])
    assert not changed[1][:, [0, 3]].any()
    assert changed[1][:, 1:3].all()


@given(shape=SHAPES, seed=st.integers(0, 99), positions=st.integers(1, 9))
@settings(max_examples=15)
def test_every_position_follows_its_most_similar_guide_feature(shape, seed, positions):
    feature, weight = random(*shape, seed=seed), weights(shape[0], seed)
    rows = random(positions, shape[1], seed=seed + 1)
    ours = run_term(only(guide(LAYER)), feature, rows, weight)
    assert_same(ours, autograd(guide_loss, feature, rows, weight))


@pytest.mark.parametrize("size", [(1, 1), (3, 1), (2, 4)])
def test_the_features_of_a_guide_are_a_row_for_each_position(size):
    picture = random(1, 5, *size)
    rows = run_target(only(guide(LAYER)), picture)
    np.testing.assert_array_equal(rows, picture[0].reshape(5, -1).T)


@pytest.mark.parametrize(
    ("objective", "formula"),
    [(score(LAYER), score_loss), (likelihood(LAYER), likelihood_loss)],
    ids=["score", "likelihood"],
)
@given(shape=SHAPES, seed=st.integers(0, 99), positions=st.booleans())
@settings(max_examples=15)
def test_a_class_has_a_score_over_all_positions(objective, formula, shape, seed, positions):
    """This includes layers without positions, (N, C)."""
    feature = random(*(shape if positions else shape[:2]), seed=seed)
    weight, chosen = weights(shape[0], seed), np.zeros((1, shape[1], 1), np.float32)
    chosen[:, seed % shape[1]] = 1
    loss, cotangent = run_term(only(objective), feature, chosen, weight)
    flat = feature.reshape(*feature.shape[:2], -1)
    expected = autograd(formula, flat, chosen, weight)
    assert_same((loss, cotangent.reshape(flat.shape)), expected)
