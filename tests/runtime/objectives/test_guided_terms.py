"""Terms with guides, compared with the guided Gram matrix of Gatys et al. 2017 in PyTorch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from one_term import assert_same, autograd, gram, only, random, run_target, run_term

from nstbatch.runtime.objectives.terms import content, scaled_style, style

GUIDE = np.abs(random(1, 1, 6, 7, seed=3))


def guided(objective):
    return replace(only(objective), guided=True, part="ff0000")


def guided_gram(feature):
    return gram(feature * torch.tensor(GUIDE, dtype=feature.dtype))


def test_the_target_is_the_gram_matrix_of_the_guided_activation():
    image = random(2, 5, 6, 7)
    ours = run_target(guided(style("feature")), image, GUIDE)
    expected = guided_gram(torch.tensor(image, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pictures", [1, 3])
def test_loss_and_gradient_are_those_of_the_guided_gram_matrix(pictures):
    image = np.tanh(random(pictures, 5, 6, 7))
    target = gram(torch.tensor(2 + random(pictures, 5, 9, 4) ** 2)).numpy()
    weight = np.linspace(1, 2, pictures, dtype=np.float32)

    def loss(feature, target, weight):
        return weight * ((guided_gram(feature) - target) ** 2).flatten(1).mean(1)

    ours = run_term(guided(style("feature")), image, target, weight, GUIDE)
    assert_same(ours, autograd(loss, image, target, weight))


def test_the_content_counts_where_the_guide_is():
    image, target = random(2, 5, 6, 7), random(2, 5, 6, 7, seed=1)
    weight = np.array([1, 2], np.float32)

    def loss(feature, target, weight):
        difference = feature * torch.tensor(GUIDE, dtype=feature.dtype) - target
        return weight * (difference**2).flatten(1).mean(1)

    ours = run_term(guided(content("feature")), image, target, weight, GUIDE)
    assert_same(ours, autograd(loss, image, target, weight))


def test_a_guide_of_ones_changes_nothing():
    image, target = random(1, 5, 6, 7), gram(torch.tensor(random(1, 5, 6, 7, seed=1))).numpy()
    plain = run_term(only(scaled_style("feature")), image, target)
    ones = np.ones((1, 1, 6, 7), np.float32)
    ours = run_term(guided(scaled_style("feature")), image, target, guide=ones)
    for mine, expected in zip(ours, plain, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-6)


def test_each_part_has_a_name_of_its_own():
    assert guided(style("relu1_1")).name == "style/relu1_1@ff0000"
