"""Terms with guides, compared with the guided Gram matrix of Gatys et al. 2017 in PyTorch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from one_term import assert_same, autograd, gram, only, random, run_target, run_term

from nstbatch.runtime.objectives import guided_terms as guide_terms
from nstbatch.runtime.objectives.style_losses import shifted_gram
from nstbatch.runtime.objectives.style_terms import moments, scaled_moments, wasserstein
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


# --- Other statistics -------------------------------------------------------------------------
# A region by weights w, whose mean is 1, compared with formulas that know no guide: sums over
# positions that count w times.

HALF = np.zeros((1, 1, 6, 7), np.float32)
HALF[..., :4] = np.sqrt(7 / 4)
GUIDES = {"half": HALF, "soft": GUIDE / np.float32(np.sqrt((GUIDE**2).mean()))}


def weighted(feature, guide):
    """Means (N, C), and F - m (N, C, P) with the weights (P,) that add up to 1."""
    weights = torch.tensor(guide.astype(np.float64) ** 2).flatten() / guide.size
    means = feature.flatten(2) @ weights
    return means, feature.flatten(2) - means[..., None], weights


def moments_of(feature, guide):
    means, apart, weights = weighted(feature, guide)
    return torch.stack([means, (apart**2 @ weights + 1e-8).sqrt()], 1)


def gaussian_of(feature, guide):
    means, apart, weights = weighted(feature, guide)
    return means, apart * weights @ apart.mT + 1e-4 * torch.eye(apart.shape[1]).double()


def wasserstein_of(feature, target, guide):
    (means, found), wanted, root = gaussian_of(feature, guide), target[:, 0], target[:, 1:]
    values, vectors = torch.linalg.eigh(root @ found @ root)
    mixed = vectors * values.clamp(min=0).sqrt()[:, None] @ vectors.mT
    traces = (found + root @ root - 2 * mixed).diagonal(dim1=1, dim2=2).sum(1)
    return (((means - wanted) ** 2).sum(1) + traces) / target[0].numel()


def shifted_of(feature, guide):
    """Gram matrices of the pairs two apart, each pair by the product of its guides."""
    mask, found = torch.tensor(guide, dtype=feature.dtype), []
    for axis in (2, 3):
        count, seen = feature.shape[axis] - 2, mask * feature
        later, earlier = seen.narrow(axis, 2, count), seen.narrow(axis, 0, count)
        pairs = mask.narrow(axis, 2, count) * mask.narrow(axis, 0, count)
        gram = later.flatten(2) @ earlier.flatten(2).mT
        found.append(gram / (feature.shape[1] * pairs.sum()))
    return torch.cat(found, 1)


def mean_square(difference):
    return (difference**2).flatten(1).mean(1)


def scaled(difference):
    flat = difference.flatten(1)
    return (flat**2).sum(1) / (flat.abs().sum(1) + 1e-8)


OTHERS = {
    "moments": (moments("feature"), moments_of, mean_square),
    "scaled-moments": (scaled_moments("feature"), moments_of, scaled),
    "shifted-gram": (shifted_gram("feature", 2), shifted_of, mean_square),
}


@pytest.mark.parametrize("guide", GUIDES)
@pytest.mark.parametrize("case", OTHERS)
def test_statistics_of_a_region(case, guide):
    objective, statistics, error = OTHERS[case]
    term, mask = guide_terms.guided(only(objective), "ff0000"), GUIDES[guide]
    image, other = np.tanh(random(2, 5, 6, 7)), 1 + random(2, 5, 6, 7, seed=1)
    target = run_target(term, other, mask)
    expected = statistics(torch.tensor(other, dtype=torch.float64), mask)
    np.testing.assert_allclose(target, expected.numpy(), rtol=1e-4, atol=1e-5)
    weight = np.array([1, 2], np.float32)

    def loss(feature, target, weight):
        return weight * error(statistics(feature, mask) - target)

    ours = run_term(term, image, target, weight, mask)
    assert_same(ours, autograd(loss, image, target, weight))


@pytest.mark.parametrize("guide", GUIDES)
def test_the_distance_of_gaussians_of_a_region(guide):
    term, mask = guide_terms.guided(only(wasserstein("feature")), "ff0000"), GUIDES[guide]
    image, other = np.tanh(random(2, 3, 6, 7)), 1 + random(2, 3, 6, 7, seed=1)
    target = run_target(term, other, mask)
    means, found = gaussian_of(torch.tensor(other, dtype=torch.float64), mask)
    np.testing.assert_allclose(target[:, 0], means.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(target[:, 1:] @ target[:, 1:], found.numpy(), rtol=2e-3, atol=2e-3)

    def loss(feature, target):
        return wasserstein_of(feature, target, mask)

    ours, theirs = run_term(term, image, target, guide=mask), autograd(loss, image, target)
    # Twelve steps of Newton and Schulz are not quite the root.
    for mine, expected in zip(ours, theirs, strict=True):
        assert np.linalg.norm(mine - expected) < 0.02 * np.linalg.norm(expected)


@pytest.mark.parametrize(
    "objective", [scaled_moments("feature"), wasserstein("feature"), shifted_gram("feature", 2)]
)
def test_a_region_of_everything_is_no_region(objective):
    image, other = random(1, 5, 6, 7), random(1, 5, 6, 7, seed=1)
    ones, term = np.ones((1, 1, 6, 7), np.float32), only(objective)
    within = guide_terms.guided(term)
    target = run_target(term, other)
    np.testing.assert_allclose(run_target(within, other, ones), target, rtol=1e-4, atol=1e-6)
    plain, ours = run_term(term, image, target), run_term(within, image, target, guide=ones)
    for mine, expected in zip(ours, plain, strict=True):
        assert np.linalg.norm(mine - expected) <= 1e-4 * np.linalg.norm(expected)


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
