"""Holes and seams filled, as a program that embeds it meets it."""

import cv2
import numpy as np
import pytest

from nstbatch.runtime.errors import ImageError, StoppedError, UnknownNameError, UsageError
from nstbatch.runtime.filling.filling import Filling
from nstbatch.runtime.filling.filling_options import FillingOptions
from nstbatch.runtime.pictures.images import Picture

QUICK = FillingOptions(iterations=3)


@pytest.fixture(scope="module")
def filling() -> Filling:
    return Filling("squeezenet1_1", device="cpu", threads=1)


def studs(height, width, period=16):
    """(H, W, 3): round studs in a staggered grid, and a little grain."""
    rows, columns = np.mgrid[:height, :width].astype(float)
    wave = np.cos(2 * np.pi * (rows + columns) / period) * np.cos(
        2 * np.pi * (rows - columns) / period
    )
    grain = np.random.default_rng(0).normal(0, 0.01, (height, width, 1))
    return np.clip(wave[..., None] * [0.3, 0.2, 0.1] + 0.5 + grain, 0, 1).astype(np.float32)


PICTURE = studs(112, 128)
MASK = np.zeros((112, 128), np.float32)
MASK[40:70, 50:84] = 1
HOLE = MASK > 0.5
DAMAGED = np.where(HOLE[..., None], np.float32(0.9), PICTURE)


def test_a_hole_is_filled_with_the_pattern_and_the_rest_stays(filling):
    reports = []
    result = filling(DAMAGED, MASK, QUICK, progress=reports.append)
    np.testing.assert_array_equal(result.image[~HOLE], PICTURE[~HOLE])
    assert result.image.dtype == np.float32
    # Grain differs by 0.014 on average of two draws; another phase of the studs by 0.2.
    assert np.abs(result.image - PICTURE)[HOLE].mean() < 0.03
    assert reports[-1].step == reports[-1].steps == result.steps == 3
    assert reports[-1].share == 1
    assert reports[-1].picture().shape == PICTURE.shape


def test_the_border_is_no_larger_than_a_step_inside(filling):
    """The mean step across the border of the hole, beside that between neighbours elsewhere."""
    image = filling(DAMAGED, MASK, QUICK).image
    across = np.abs(image[:, 1:] - image[:, :-1]).mean(axis=2)
    border = HOLE[:, 1:] != HOLE[:, :-1]
    assert across[border].mean() < 1.15 * across[~border].mean()
    before = np.abs(DAMAGED[:, 1:] - DAMAGED[:, :-1]).mean(axis=2)
    assert before[border].mean() > 2 * before[~border].mean()


def test_two_runs_with_one_seed_give_identical_bytes(filling):
    one, two, other = (
        filling(DAMAGED, MASK, FillingOptions(iterations=2, seed=seed)).image for seed in (0, 0, 1)
    )
    assert one.tobytes() == two.tobytes() != other.tobytes()


def test_sizes_go_from_coarse_to_fine(filling):
    reports = []
    large = studs(200, 300)
    mask = np.zeros((200, 300), np.float32)
    mask[90:120, 100:160] = 1
    result = filling(large, mask, FillingOptions(iterations=2), progress=reports.append)
    sizes = [(report.height, report.width, report.scale) for report in reports]
    assert sizes == [(50, 75, 1)] * 2 + [(100, 150, 2)] * 2 + [(200, 300, 3)]
    assert {report.scales for report in reports} == {3}
    hole = mask > 0.5
    assert np.abs(result.image - large)[hole].mean() < 0.05


def test_transparent_pixels_are_a_hole(filling):
    alpha = np.where(HOLE, 0, 1).astype(np.float32)
    result = filling(Picture(DAMAGED, alpha), None, QUICK)
    assert result.alpha is None
    np.testing.assert_array_equal(result.image[~HOLE], PICTURE[~HOLE])
    kept = filling(Picture(DAMAGED, np.full_like(alpha, 0.5)), MASK, QUICK)
    np.testing.assert_array_equal(kept.alpha, np.full_like(alpha, 0.5))


# --- Further maps -----------------------------------------------------------------------------


def test_a_further_map_follows_within_a_pixel(filling):
    """A map of places, filled like the picture, says where every pixel came from."""
    result = filling(DAMAGED, MASK, QUICK)
    again = result.field.apply(np.where(HOLE[..., None], np.float32(0), PICTURE))
    np.testing.assert_allclose(again, result.image, atol=1e-6)
    doubled = result.field.apply(np.float64(PICTURE) * 1000)
    np.testing.assert_allclose(doubled, result.image * 1000, atol=1e-2)
    # By registration: the best of all shifts of the map against the picture is none.
    height = result.field.apply(PICTURE[..., :1])[..., 0]
    shifts = [(down, right) for down in range(-3, 4) for right in range(-3, 4)]

    def off(shift):
        moved = np.roll(height, shift, (0, 1))
        return np.square(moved - result.image[..., 0])[43:67, 53:81].mean()

    assert min(shifts, key=off) == (0, 0)


# --- Tiles ------------------------------------------------------------------------------------


def step_ratios(image):
    """The step across each seam, over the mean one inside."""
    for axis in (0, 1):
        lines = np.moveaxis(image, axis, 0)
        steps = np.abs(np.roll(lines, -1, axis=0) - lines).mean(axis=(1, 2))
        yield steps[-1] / steps[:-1].mean()


def clouds(height, width):
    """(H, W, 3): spots of random places and colours, about eight pixels wide."""
    noise = np.random.default_rng(0).normal(0, 1, (height, width, 3)).astype(np.float32)
    return np.clip(cv2.GaussianBlur(noise, (0, 0), 2) + 0.5, 0, 1)


def test_a_picture_is_made_to_tile_and_its_middle_stays(filling):
    uneven = clouds(101, 119)
    assert min(step_ratios(uneven)) > 2
    result = filling.tiled(uneven)
    assert max(step_ratios(result.image)) < 1.1
    hole = result.field.ground.hole
    half = round(0.15 * 101 / 2)
    assert not hole[half:-half, half:-half].any()
    np.testing.assert_array_equal(result.image[~hole], uneven[~hole])


def test_a_wider_seam_changes_more(filling):
    narrow, wide = (
        filling.tiled(PICTURE, FillingOptions(iterations=1, seam=seam)).field.ground.hole.mean()
        for seam in (0.1, 0.3)
    )
    assert 0 < 2 * narrow < wide < 1


# --- What is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (None, "has no hole: give a mask, or make the hole transparent"),
        (MASK[:, :-1], "The mask is 127x112 pixels, the picture 128x112"),
        (np.zeros_like(MASK), "The mask has no white pixels"),
        (np.ones_like(MASK), "leaves no patch of 12x12 pixels"),
    ],
)
def test_masks_that_leave_nothing_to_do_are_refused(filling, mask, message):
    with pytest.raises(ImageError, match=message):
        filling(PICTURE, mask, QUICK)


def test_a_picture_too_small_for_the_network_is_refused(filling):
    with pytest.raises(ImageError, match="The picture is"):
        filling(PICTURE[40:45], MASK[40:45], QUICK)


def test_an_unknown_layer_is_refused(filling):
    with pytest.raises(UnknownNameError, match="relu9"):
        filling.check(FillingOptions(layers=("relu9",)))


def test_a_run_can_be_stopped(filling):
    with pytest.raises(StoppedError):
        filling(DAMAGED, MASK, QUICK, stop=lambda: True)


@pytest.mark.parametrize(
    ("option", "value"),
    [("iterations", 0), ("seam", 0.0), ("seam", 0.6), ("seed", -1), ("pooling", "median"),
     ("layers", "pool1")],
)  # fmt: skip
def test_options_out_of_range_are_refused_by_name(option, value):
    with pytest.raises(UsageError, match=option):
        FillingOptions(**{option: value})


def test_large_pictures_do_not_ask_the_network(filling, monkeypatch):
    """Its columns would take gigabytes; the place is known from the size before."""
    from nstbatch.runtime.filling import filling as module

    monkeypatch.setattr(module, "LARGEST_ASKED", 100)
    monkeypatch.setattr(module, "COARSEST", 64)
    asked = []
    real = filling.engine.targets

    def targets(terms, images, pooling):
        asked.append(images.shape[2:])
        return real(terms, images, pooling)

    monkeypatch.setattr(filling.engine, "targets", targets)
    result = filling(DAMAGED, MASK, QUICK)
    assert set(asked) == {(56, 64)}
    assert np.abs(result.image - PICTURE)[HOLE].mean() < 0.05
