"""Style losses on other statistics, compared with their formulas in PyTorch, in float64."""

import numpy as np
import pytest
import torch
from one_term import assert_same, autograd, only, random, run_target, run_term

from nstbatch.runtime.objectives.style_terms import moments, scaled_moments, wasserstein

PICTURES = pytest.mark.parametrize("pictures", [1, 3])


def statistics(feature):
    flat = feature.flatten(2)
    return torch.stack([flat.mean(2), (flat.var(2, correction=0) + 1e-8).sqrt()], 1)


def moments_loss(feature, target, weight):
    return weight * ((statistics(feature) - target) ** 2).flatten(1).mean(1)


def scaled_moments_loss(feature, target, weight):
    difference = (statistics(feature) - target).flatten(1)
    return weight * (difference**2).sum(1) / (difference.abs().sum(1) + 1e-8)


def covariance(feature):
    flat = feature.flatten(2)
    centred = flat - flat.mean(2, keepdim=True)
    return centred @ centred.mT / flat.shape[2] + 1e-4 * torch.eye(flat.shape[1]).to(feature)


def root(matrix, steps=12):
    """Newton and Schulz's steps; style-transfer-pytorch takes twelve."""
    scale = matrix.detach().flatten(1).norm(dim=1)[:, None, None]
    y, z = matrix / scale, torch.eye(matrix.shape[1]).to(matrix).expand_as(matrix)
    for _ in range(steps):
        t = 3 * torch.eye(matrix.shape[1]).to(matrix) - z @ y
        y, z = y @ t / 2, t @ z / 2
    return y * scale.sqrt()


def exact_root(matrix):
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag_embed(values.clamp(min=0).sqrt()) @ vectors.mT


def gaussian(feature, root=root):
    return torch.cat([feature.flatten(2).mean(2)[:, None], root(covariance(feature))], 1)


def distance(root):
    def loss(feature, target, weight):
        wanted = target[:, 1:]
        away = ((feature.flatten(2).mean(2) - target[:, 0]) ** 2).sum(1)
        found = covariance(feature)
        both = found + wanted @ wanted - 2 * root(wanted @ found @ wanted)
        apart = both.diagonal(dim1=1, dim2=2).sum(1)
        return weight * (away + apart) / target[0].numel()

    return loss


def pictures_and_style(pictures, channels=6):
    image = random(pictures, channels, 9, 8)
    mixed = np.einsum("ij,njhw->nihw", random(channels, channels, seed=2), image)
    style = 1 + np.einsum("ij,njhw->nihw", random(channels, channels, seed=3), image[..., ::-1])
    weight = np.linspace(1, 2, pictures, dtype=np.float32)
    return mixed.astype(np.float32), style.astype(np.float32), weight


def assert_within(ours, theirs, tolerance=1e-4):
    for mine, expected in zip(ours, theirs, strict=True):
        difference = np.linalg.norm((mine - expected).ravel())
        assert difference <= tolerance * np.linalg.norm(expected.ravel())


# --- Moments ----------------------------------------------------------------------------------


@PICTURES
@pytest.mark.parametrize(
    ("term", "loss"), [(moments, moments_loss), (scaled_moments, scaled_moments_loss)]
)
def test_moments_are_compared_by_their_differences(pictures, term, loss):
    image, style, weight = pictures_and_style(pictures)
    target = statistics(torch.tensor(style)).numpy()
    np.testing.assert_allclose(run_target(only(term("feature")), style), target, rtol=1e-5)
    ours = run_term(only(term("feature")), image, target, weight)
    assert_same(ours, autograd(loss, image, target, weight))


@pytest.mark.parametrize("term", [moments, scaled_moments])
def test_a_channel_without_variance_has_a_finite_derivative(term):
    image, style, _ = pictures_and_style(1)
    image[:, 2] = 0
    target = statistics(torch.tensor(style)).numpy()
    loss, cotangent = run_term(only(term("feature")), image, target)
    assert np.isfinite(loss).all()
    assert np.isfinite(cotangent).all()


# --- Wasserstein ------------------------------------------------------------------------------


@PICTURES
def test_the_distance_is_that_of_newton_and_schulz_in_float64(pictures):
    image, style, weight = pictures_and_style(pictures)
    target = gaussian(torch.tensor(style, dtype=torch.float64)).numpy().astype(np.float32)
    term = only(wasserstein("feature"))
    assert_within([run_target(term, style)], [target])
    assert_within(
        run_term(term, image, target, weight), autograd(distance(root), image, target, weight)
    )


def test_the_distance_is_that_of_eigenvalues_where_they_are_alike():
    """Twelve steps reach eigenvalues that are within a factor of about 1e4 of the largest."""
    image, style = random(1, 5, 20, 20), 2 * random(1, 5, 20, 20, seed=1) + 1
    exact = gaussian(torch.tensor(style, dtype=torch.float64), exact_root).numpy()
    target = exact.astype(np.float32)
    term, weight = only(wasserstein("feature")), np.ones(1, np.float32)
    assert_within([run_target(term, style)], [exact])
    assert_within(
        run_term(term, image, target), autograd(distance(exact_root), image, target, weight)
    )


def test_a_picture_is_at_no_distance_from_itself():
    image, other, _ = pictures_and_style(1)
    term = only(wasserstein("feature"))
    (itself,), _ = run_term(term, image, run_target(term, image))
    (apart,), _ = run_term(term, image, run_target(term, other))
    assert abs(itself) < 1e-2 * apart  # twelve steps leave a rest of small eigenvalues


def test_more_channels_than_positions_are_no_trouble():
    image, style = random(1, 64, 4, 5), random(1, 64, 6, 3, seed=1)
    term, weight = only(wasserstein("feature")), np.ones(1, np.float32)
    target = gaussian(torch.tensor(style, dtype=torch.float64)).numpy().astype(np.float32)
    assert_within([run_target(term, style)], [target], 1e-3)
    assert_within(
        run_term(term, image, target), autograd(distance(root), image, target, weight), 1e-3
    )
