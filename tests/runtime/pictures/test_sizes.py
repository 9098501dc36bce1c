from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from nstbatch.runtime.pictures.sizes import (
    fit_long_side,
    from_nchw,
    long_side,
    resize,
    resize_batch,
    resize_tile,
    resized_shape,
    to_nchw,
)

SMOOTH = np.random.default_rng(0).random((40, 56, 3), np.float32)

unit_floats = st.floats(0, 1, width=32)
pictures = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(3)), elements=unit_floats
)
some_sizes = st.tuples(st.integers(1, 30), st.integers(1, 30))


@given(pixels=pictures, size=some_sizes)
def test_resized_values_stay_in_range(pixels: NDArray[np.float32], size: tuple[int, int]) -> None:
    resized = resize(pixels, size)
    assert resized.shape == (*size, 3)
    assert resized.dtype == np.float32
    assert 0 <= resized.min() <= resized.max() <= 1


@given(value=unit_floats, before=some_sizes, after=some_sizes)
def test_a_flat_picture_stays_flat(
    value: float, before: tuple[int, int], after: tuple[int, int]
) -> None:
    flat = np.full((*before, 3), value, np.float32)
    # The average of 900 equal float32 values was seen to be off by 1.2e-6.
    np.testing.assert_allclose(resize(flat, after), value, atol=1e-5)


@given(pixels=pictures, factor=st.integers(2, 4))
def test_shrinking_averages(pixels: NDArray[np.float32], factor: int) -> None:
    enlarged = pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    np.testing.assert_allclose(resize(enlarged, pixels.shape[:2]), pixels, atol=1e-5)


@pytest.mark.parametrize("size", [(8, 8), (8, 64), (8, 100), (100, 8)])
def test_a_fine_checkerboard_becomes_grey(size: tuple[int, int]) -> None:
    board = (np.indices((64, 64)).sum(axis=0) % 2).astype(np.float32)
    np.testing.assert_allclose(resize(board, size), 0.5, atol=1e-5)


def test_enlarging_a_ramp_is_smooth() -> None:
    ramp = np.tile(np.linspace(0, 1, 8, dtype=np.float32)[:, None], (1, 8))
    steps = np.diff(resize(ramp, (64, 8))[:, 0])
    assert steps.min() >= 0
    assert steps.max() < 0.04  # with nearest neighbour the steps would be 1/7


@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
def test_resize_keeps_the_channels(channels: tuple[int, ...]) -> None:
    assert resize(np.zeros((6, 5, *channels), np.float32), (4, 9)).shape == (4, 9, *channels)


def test_resize_to_the_same_size_changes_nothing() -> None:
    np.testing.assert_array_equal(resize(SMOOTH, SMOOTH.shape[:2]), SMOOTH)


@given(height=st.integers(1, 20_000), width=st.integers(1, 20_000), size=st.integers(1, 4096))
def test_fit_long_side_keeps_the_proportions(height: int, width: int, size: int) -> None:
    fitted = fit_long_side(height, width, size)
    assert max(fitted) == size
    exact = height * size / max(height, width), width * size / max(height, width)
    for side, wanted in zip(fitted, exact, strict=True):
        assert side >= 1
        assert abs(side - wanted) <= 0.5 or side == 1


@given(pixels=pictures)
def test_layouts_are_each_others_inverse(pixels: NDArray[np.float32]) -> None:
    batch = to_nchw(pixels)
    assert batch.shape == (1, 3, *pixels.shape[:2])
    assert batch.flags.c_contiguous
    np.testing.assert_array_equal(batch[0, 1], pixels[..., 1])
    np.testing.assert_array_equal(from_nchw(batch), pixels)


def test_from_nchw_takes_one_image() -> None:
    with pytest.raises(ValueError, match="batch of 2"):
        from_nchw(np.zeros((2, 3, 4, 4), np.float32))


def test_a_batch_is_resized_picture_by_picture():
    batch = np.random.default_rng(0).random((3, 3, 8, 10), np.float32)
    resized = resize_batch(batch, (12, 15))
    assert resized.shape == (3, 3, 12, 15)
    assert resized.flags.c_contiguous
    for image, original in zip(resized, batch, strict=True):
        expected = resize(original.transpose(1, 2, 0), (12, 15))
        np.testing.assert_array_equal(image.transpose(1, 2, 0), expected)


@pytest.mark.parametrize(
    ("size", "max_size", "expected"),
    [
        (100, None, 100),
        ("own", None, 80),
        ("own", 60, 60),
        ("own", 90, 80),
        (100, 90, 80),  # a bound never enlarges
        (50, 90, 50),
        (100, 60, 60),
    ],
)
def test_the_long_side_that_options_ask_for(size: int, max_size: int | None, expected: int) -> None:
    assert long_side(60, 80, size, max_size) == expected
    assert long_side(80, 60, size, max_size) == expected


@given(height=st.integers(1, 5000), width=st.integers(1, 5000))
def test_a_pictures_own_size_is_its_own_to_the_pixel(height: int, width: int) -> None:
    assert resized_shape(height, width, "own") == (height, width)


def test_a_tile_is_resized_as_a_part_of_its_tiling():
    """Rolled by half before or after, it is the same; alone, its edges would differ."""
    images = np.random.default_rng(0).random((2, 3, 12, 16), dtype=np.float32)
    large = resize_tile(images, (24, 32))
    assert large.shape == (2, 3, 24, 32)
    rolled = resize_tile(np.roll(images, (6, 8), (2, 3)), (24, 32))
    np.testing.assert_allclose(np.roll(large, (12, 16), (2, 3)), rolled, atol=1e-5)
    alone = resize_batch(np.roll(images, (6, 8), (2, 3)), (24, 32))
    assert np.abs(np.roll(large, (12, 16), (2, 3)) - alone).max() > 0.01
