"""Starts from pictures and noise, and the steps after a run."""

import numpy as np
import pytest

from nstbatch.runtime.descent.pyramid import Level
from nstbatch.runtime.pictures.synthetic import photo_like
from nstbatch.runtime.style.finish import finished, sharpened
from nstbatch.runtime.style.first_images import first_images, noise
from nstbatch.runtime.style.paintings import Painting
from nstbatch.runtime.style.shared_style_options import NOISES
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions

LEVEL = Level(48, 64, 2, 1)


def picture(seed=0, height=48, width=64):
    pixels = photo_like(np.random.default_rng(seed), height, width).transpose(1, 2, 0)
    return np.ascontiguousarray(pixels)


def start(**options):
    paintings = [Painting(picture(1))]
    return first_images(StyleTransferOptions(**options), picture(), paintings, LEVEL)


@pytest.mark.parametrize("kind", NOISES)
def test_noise_has_the_size_and_comes_again_with_its_seed(kind):
    made = noise(kind, (64, 48), 3)
    assert made.shape == (1, 3, 64, 48)
    assert made.dtype == np.float32
    assert 0 <= made.min() < made.max() <= 1
    assert made.mean() == pytest.approx(0.5, abs=0.05)
    np.testing.assert_array_equal(made, noise(kind, (64, 48), 3))
    assert not np.array_equal(made, noise(kind, (64, 48), 4))


def test_coloured_noise_has_more_of_the_large_waves():
    shares = []
    for kind in NOISES:
        steps = np.diff(noise(kind, (128, 128), 0), axis=3)
        shares.append(steps.std() / noise(kind, (128, 128), 0).std())
    white, pink, brown = shares
    assert white == pytest.approx(2**0.5, rel=0.02)  # neighbours have nothing in common
    assert brown < 0.5 * pink < 0.5 * white


def test_a_start_may_be_blended_with_noise():
    photo = start(init="photo")
    np.testing.assert_array_equal(photo, LEVEL.fit(picture()))
    whole = start(init="noise", noise="pink", seed=5)
    blend = start(init="photo", init_noise=0.25, noise="pink", seed=5)
    np.testing.assert_allclose(blend, 0.75 * photo + 0.25 * whole, atol=1e-6)
    np.testing.assert_allclose(start(init="photo", init_noise=1), start(init="noise"), atol=1e-6)


def test_nothing_is_done_at_the_end_unless_asked():
    image = picture()
    assert finished(StyleTransferOptions(), image, [Painting(picture(1))], picture(2)) is image


def test_the_histogram_of_the_style_is_matched_at_the_end():
    options, painting = StyleTransferOptions(histogram=True), picture(1, 64, 48)
    made = finished(options, picture(), [Painting(painting)], picture(2))
    for channel in range(3):
        np.testing.assert_allclose(
            np.quantile(made[..., channel], [0.1, 0.5, 0.9]),
            np.quantile(painting[..., channel], [0.1, 0.5, 0.9]),
            atol=0.01,
        )


def test_sharpening_adds_fine_detail_and_leaves_flat_areas():
    image = picture()
    made = sharpened(image, 0.5)
    assert np.abs(np.diff(made, axis=1)).mean() > 1.1 * np.abs(np.diff(image, axis=1)).mean()
    flat = np.full((9, 9, 3), 0.3, np.float32)
    np.testing.assert_allclose(sharpened(flat, 2), flat, atol=1e-6)
    options = StyleTransferOptions(sharpen=0.5)
    np.testing.assert_array_equal(finished(options, image, [Painting(image)], image), made)
