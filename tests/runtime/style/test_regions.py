"""Regions from pictures of masks."""

import io

import numpy as np
import pytest
from PIL import Image

from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.style.regions import (
    BLACK,
    WHITE,
    Masks,
    counterpart,
    guide,
    narrowed,
    read_regions,
    read_weights,
    regions_of_photo,
    styled,
)

SHAPE = (60, 80)
RED, BLUE = "ff0000", "0000ff"


def mask(left, right, shape=SHAPE):
    """(H, W, 3): a colour on the left half, and one on the right."""
    pixels = np.zeros((*shape, 3), np.float32)
    pixels[:, : shape[1] // 2], pixels[:, shape[1] // 2 :] = left, right
    return pixels


def test_a_grey_mask_has_a_white_and_a_black_region_and_greys_are_in_both():
    regions = read_regions(mask(1, 0.25), SHAPE, "photo")
    assert regions.keys() == {WHITE, BLACK}
    np.testing.assert_allclose(regions[WHITE][0, [0, 79]], [1, 0.25])
    np.testing.assert_allclose(regions[BLACK][0, [0, 79]], [0, 0.75])
    assert read_regions(mask(1, 1), SHAPE, "photo").keys() == {WHITE}  # an empty one is none


def test_a_coloured_mask_has_a_region_for_each_colour_also_as_a_jpeg():
    pixels = mask((1, 0, 0), (0, 0, 1), (240, 320))
    file = io.BytesIO()
    Image.fromarray((pixels * 255).astype(np.uint8)).save(file, "JPEG", quality=80)
    exact = read_regions(pixels, SHAPE, "photo")
    lossy = read_regions(file, SHAPE, "photo")
    assert exact.keys() == {RED, BLUE}
    assert len(lossy) == 2
    for name, region in exact.items():
        wrong = np.abs(lossy[counterpart(name, lossy)] - region)
        assert wrong[:, :150].max() == wrong[:, 170:].max() == 0
    np.testing.assert_array_equal(sum(exact.values()), 1)


def test_colours_belong_together_if_they_are_nearly_the_same():
    regions = {"fe0102": np.ones(SHAPE), BLACK: np.ones(SHAPE)}
    assert counterpart(RED, regions) == "fe0102"
    assert counterpart(BLACK, regions) == BLACK
    assert counterpart(BLUE, regions) is None
    assert counterpart(RED, {}) is None


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (mask(1, 0, (80, 60)), "mask of the photo is 60x80 pixels and the photo 80x60"),
        (
            np.random.default_rng(0).random((60, 80, 3)),
            "1 to 12 colours, and this picture has none",
        ),
    ],
)
def test_masks_that_do_not_fit_are_refused(pixels, message):
    with pytest.raises(ImageError, match=message):
        regions_of_photo(Masks(pixels.astype(np.float32)), SHAPE, [{RED: np.ones(SHAPE)}])


def test_half_the_size_fits():
    assert read_regions(mask(1, 0, (30, 40)), SHAPE, "photo")[WHITE].shape == (30, 40)


def test_without_a_mask_of_the_style_black_has_no_style():
    regions = read_regions(mask(1, 0), SHAPE, "photo")
    assert styled(regions, [None]).keys() == {WHITE}
    assert styled(regions, [regions]).keys() == {WHITE, BLACK}
    assert regions_of_photo(None, SHAPE, [None]) == {}
    assert regions_of_photo(None, SHAPE, [regions]).keys() == {WHITE}
    with pytest.raises(ImageError, match="all black"):
        regions_of_photo(Masks(mask(0, 0)), SHAPE, [None])


def test_a_region_that_no_style_has_is_named():
    photo = read_regions(mask((1, 0, 0), (0, 0, 1)), SHAPE, "photo")
    red = {RED: np.ones(SHAPE, np.float32)}
    with pytest.raises(ImageError, match="lacks the region 0000ff"):
        styled(photo, [red])
    blue = {BLUE: np.ones(SHAPE, np.float32)}
    assert styled(photo, [red, blue]).keys() == styled(photo, [red, None]).keys() == {RED, BLUE}


def test_a_guide_has_a_mean_square_of_one_and_keeps_off_the_border():
    region = read_regions(mask(1, 0), SHAPE, "photo")[WHITE]
    made = guide(region, 20, (30, 40))
    assert made.shape == (1, 1, 30, 40)
    assert np.square(made).mean() == pytest.approx(1, abs=1e-5)
    used = made[0, 0, 0] > 0
    assert used[:14].all()
    assert not used[16:].any()  # 10 pixels from the border are 5 positions
    np.testing.assert_allclose(guide(np.ones(SHAPE, np.float32), 20, (30, 40)), 1)


def test_a_region_is_never_narrowed_to_nothing():
    region = read_regions(mask(1, 0), SHAPE, "photo")[WHITE]
    share = narrowed(region, 1000).sum() / region.sum()
    assert 0.4 < share <= 0.6


def test_the_content_counts_in_white():
    weights = read_weights(mask(1, 0.5), SHAPE)
    np.testing.assert_allclose(weights[0, [0, 79]], [1, 0.5])
    with pytest.raises(ImageError, match="no white"):
        read_weights(mask(0, 0), SHAPE)
