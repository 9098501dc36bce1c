"""A picture takes over the mean and the covariance of another's colours."""

from __future__ import annotations

import numpy as np

from nstbatch.runtime.pictures.colours import recolored


def colours(seed: int, shape: tuple[int, int], spread: float = 0.05) -> np.ndarray:
    """A picture whose channels are correlated, far from 0 and 1."""
    random = np.random.default_rng(seed)
    mixed = random.standard_normal((*shape, 3)) @ random.standard_normal((3, 3))
    return (0.5 + spread * mixed).clip(0, 1).astype(np.float32)


def statistics(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    flat = pixels.reshape(-1, 3).astype(np.float64)
    return flat.mean(axis=0), np.cov(flat, rowvar=False, bias=True)


def test_mean_and_covariance_become_those_of_the_reference():
    photo, painting = colours(1, (40, 60)), colours(2, (30, 20), 0.03)
    found, wanted = statistics(recolored(photo, painting)), statistics(painting)
    np.testing.assert_allclose(found[0], wanted[0], atol=1e-4)
    np.testing.assert_allclose(found[1], wanted[1], atol=1e-5)


def test_a_picture_with_these_colours_stays_as_it_is():
    photo = colours(1, (40, 60))
    np.testing.assert_allclose(recolored(photo, photo), photo, atol=1e-5)


def test_the_map_is_the_one_that_moves_colours_least():
    """Its matrix is symmetric and positive, which the optimal linear map is (Knott & Smith)."""
    photo, painting = colours(3, (40, 60), 0.02), colours(4, (40, 60), 0.02)
    before = photo.reshape(-1, 3) - photo.reshape(-1, 3).mean(axis=0)
    after = recolored(photo, painting).reshape(-1, 3)
    matrix, *_ = np.linalg.lstsq(before, after - after.mean(axis=0), rcond=None)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-3)
    assert np.linalg.eigvalsh(matrix).min() > 0


def test_pictures_without_colours_work_and_stay_in_range():
    grey = np.full((8, 8, 3), 0.5, np.float32)
    painting = colours(5, (20, 20), 0.2)
    np.testing.assert_allclose(
        recolored(grey, painting), np.broadcast_to(statistics(painting)[0], grey.shape), atol=1e-3
    )
    flat = recolored(painting, grey)
    np.testing.assert_allclose(flat, np.full_like(flat, 0.5), atol=0.01)
    assert recolored(painting, colours(6, (9, 9), 2.0)).max() <= 1
