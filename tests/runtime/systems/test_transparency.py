"""Transparency: what is summed, and the alpha of the sum."""

import numpy as np
import pytest

from nstbatch.runtime.systems.transparency import OPAQUE_ABOVE, Transparency


def test_nothing_that_was_seen_is_no_alpha():
    assert Transparency().alpha is None


def test_slopes_add_up_and_a_fifth_of_the_picture_is_opaque():
    seen = Transparency()
    slopes = np.random.default_rng(0).random((2, 1, 1, 20, 30), dtype=np.float32)
    held = slopes[0].copy()
    seen.add(held)
    held[:] = 0  # the buffer is written to in the next step
    seen.add(slopes[1])
    total = slopes.sum(axis=(0, 1, 2))
    expected = np.clip(total / np.percentile(total, OPAQUE_ABOVE), 0, 1)
    np.testing.assert_allclose(seen.alpha, expected, rtol=1e-5)
    assert (seen.alpha == 1).mean() == pytest.approx(0.2, abs=0.01)


def test_a_loss_that_depends_on_one_pixel_leaves_that_one():
    seen = Transparency()
    slopes = np.zeros((1, 1, 4, 5), np.float32)
    slopes[0, 0, 2, 3] = 1e-9
    seen.add(slopes)
    np.testing.assert_array_equal(seen.alpha, np.sign(slopes[0, 0]))
