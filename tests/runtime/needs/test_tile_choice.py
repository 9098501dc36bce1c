"""The side of the tiles by the memory there is."""

import pytest

from nstbatch.runtime.needs.tile_choice import SIDES, TileChoice, choose_tile


def peak(side):
    """Bytes for a picture of 2000 pixels, and for tiles."""
    return 10 + (2000 if side is None else side) ** 2


@pytest.mark.parametrize(
    ("limit", "side"), [(5_000_000, None), (3_999_999, 1024), (600_000, 768), (4106, 64)]
)
def test_the_largest_tile_that_fits_is_taken(limit, side):
    assert choose_tile(peak, limit, 2000) == TileChoice(side, peak(side), fits=True)


def test_without_room_the_smallest_is_told():
    assert choose_tile(peak, 4105, 2000) == TileChoice(SIDES[-1], peak(64), fits=False)


def test_tiles_are_smaller_than_the_picture():
    assert choose_tile(peak, 600_000, 512).side == 384
