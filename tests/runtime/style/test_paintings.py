"""The paintings of a style: read, weighted and blended."""

import numpy as np
import pytest

from nstbatch.runtime.errors import ImageError, UsageError
from nstbatch.runtime.pictures.images import Picture
from nstbatch.runtime.style.paintings import (
    PALETTE,
    Painting,
    Style,
    blended,
    palette,
    read_paintings,
)


def flat(value, height=4, width=6):
    return np.full((height, width, 3), value, np.float32)


@pytest.mark.parametrize("style", [flat(0.5), Picture(flat(0.5)), Style(flat(0.5), 7)])
def test_one_painting_is_the_whole_style(style):
    (painting,) = read_paintings(style)
    assert painting.share == 1
    np.testing.assert_array_equal(painting.pixels, flat(0.5))


def test_weights_become_shares_and_nothing_is_left_out_but_zeros():
    styles = (flat(0.1), Style(flat(0.2), 3), Style(flat(0.3), 0))
    assert [each.share for each in read_paintings(styles)] == [0.25, 0.75]
    assert len(read_paintings([flat(0.1), flat(0.2)])) == 2


def test_wrong_styles_are_refused(tmp_path):
    for weight in (-1, float("nan"), "2"):
        with pytest.raises(UsageError, match="weight of a style must be a number"):
            Style(flat(0.5), weight)
    for none in ([], [Style(flat(0.5), 0)]):
        with pytest.raises(UsageError, match="At least one style"):
            read_paintings(none)
    with pytest.raises(ImageError, match="cannot be read"):
        read_paintings([flat(0.5), tmp_path / "missing.png"])


def test_targets_blend_by_their_shares():
    one, other = (np.full((1, 2), value, np.float32) for value in (1, 5))
    np.testing.assert_allclose(blended([(0.25, one), (0.75, other)]), [[4, 4]])
    # A painting without the region leaves its share to the others.
    np.testing.assert_allclose(blended([(0.1, one), (0.3, other)]), [[4, 4]])
    assert blended([(0.2, one)]) is one


def test_a_palette_has_the_mean_of_its_paintings():
    one, two = Painting(flat(0.2, 30, 40), 0.25), Painting(flat(0.6, 50, 20), 0.75)
    assert palette([one]) is one.pixels
    for side in (None, 16):
        colours = palette([one, two], side)
        assert colours.shape == (PALETTE, 1, 3)
        np.testing.assert_allclose(colours.mean((0, 1), dtype=np.float64), 0.5, atol=1e-5)
