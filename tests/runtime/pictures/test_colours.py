"""Histogram matching: the colours become the reference's, and the picture keeps its structure."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nstbatch.runtime.pictures.colours import grey, luminance, match_histogram, with_luminance


def random(height, width, seed=0):
    """Colours (H, W, 3) whose channels are correlated, as in pictures."""
    draw = np.random.default_rng(seed)
    mixed = draw.random((height, width, 3)) @ draw.random((3, 3))
    return (mixed / mixed.max()).astype(np.float32)


@given(height=st.integers(2, 9), width=st.integers(2, 9), seed=st.integers(0, 99))
def test_at_one_size_every_channel_has_exactly_the_values_of_the_reference(height, width, seed):
    matched = match_histogram(random(height, width, seed), random(width, height, seed + 1))
    assert matched.shape == (height, width, 3)
    assert matched.dtype == np.float32
    wanted = random(width, height, seed + 1).reshape(-1, 3)
    np.testing.assert_array_equal(np.sort(matched.reshape(-1, 3), axis=0), np.sort(wanted, axis=0))


def test_at_another_size_the_quantiles_are_those_of_the_reference():
    reference = random(40, 60, 1)
    matched = match_histogram(random(50, 30), reference)
    for quantile in (0.01, 0.1, 0.5, 0.9, 0.99):
        np.testing.assert_allclose(
            np.quantile(matched, quantile, axis=(0, 1)),
            np.quantile(reference, quantile, axis=(0, 1)),
            atol=2e-3,
        )
    assert matched.min() >= reference.min()
    assert matched.max() <= reference.max()


def test_colours_that_go_together_in_the_reference_do_so_after():
    """Matching the channels alone would keep their correlation at zero."""
    pixels = np.random.default_rng(0).random((60, 60, 3), dtype=np.float32)
    reference = random(60, 60, 3)
    wanted = np.corrcoef(reference.reshape(-1, 3), rowvar=False)
    found = np.corrcoef(match_histogram(pixels, reference).reshape(-1, 3), rowvar=False)
    assert np.abs(np.corrcoef(pixels.reshape(-1, 3), rowvar=False) - wanted).max() > 0.3
    np.testing.assert_allclose(found, wanted, atol=0.1)


def test_a_grey_reference_leaves_no_tint():
    grey = np.repeat(random(30, 40)[..., :1], 3, axis=2)
    matched = match_histogram(random(32, 32, 5), grey)
    np.testing.assert_allclose(np.ptp(matched, axis=2), 0, atol=1e-3)
    assert matched.std() == pytest.approx(grey.std(), rel=0.05)


def test_a_flat_area_stays_flat():
    pixels = random(30, 30)
    pixels[:20] = 0
    matched = match_histogram(pixels, random(20, 50, 1))
    assert (matched[:20] == matched[0, 0]).all()
    assert len(np.unique(matched[20:, :, 0])) > 200


def test_a_flat_reference_gives_a_flat_picture():
    flat = np.full((5, 5, 3), [0.2, 0.4, 0.6], np.float32)
    matched = match_histogram(random(8, 8), flat)
    np.testing.assert_allclose(matched, np.broadcast_to(flat[0, 0], (8, 8, 3)), atol=1e-6)


def test_a_picture_is_left_as_it_is_by_itself():
    pixels = random(20, 20)
    np.testing.assert_allclose(match_histogram(pixels, pixels), pixels, atol=1e-6)


# --- Luminance and chroma ---------------------------------------------------------------------


def test_a_grey_picture_has_equal_channels_and_its_luminance():
    pixels = random_pixels()
    made = grey(pixels)
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made[..., 0], made[..., 1])
    np.testing.assert_array_equal(made[..., 0], made[..., 2])
    np.testing.assert_allclose(luminance(made), luminance(pixels), atol=1e-6)
    np.testing.assert_allclose(luminance(pixels)[0, 0], pixels[0, 0] @ [0.299, 0.587, 0.114])


def test_another_luminance_leaves_the_chroma_also_at_black_and_white():
    pixels = random_pixels()
    for values in (np.zeros((9, 7)), np.ones((9, 7)), random_pixels(seed=1)[..., 0]):
        made = with_luminance(pixels, values.astype(np.float32))
        assert 0 <= made.min() <= made.max() <= 1
        before, after = (p - luminance(p)[..., None] for p in (pixels, made))
        np.testing.assert_allclose(after, before, atol=1e-5)
    same = with_luminance(pixels, luminance(pixels))
    np.testing.assert_allclose(same, pixels, atol=1e-6)


def random_pixels(seed=0):
    return np.random.default_rng(seed).random((9, 7, 3), dtype=np.float32)
