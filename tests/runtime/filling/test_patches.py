"""The patches of a picture with a hole, on a plane and on a torus."""

import numpy as np
import pytest

from nstbatch.runtime.filling.field import Field
from nstbatch.runtime.filling.matching import matched
from nstbatch.runtime.filling.patches import SIDE, STEP, Ground
from nstbatch.runtime.filling.peeling import peeled


def hole(height, width, rows=slice(20, 30), columns=slice(17, 33)):
    found = np.zeros((height, width), np.bool_)
    found[rows, columns] = True
    return found


def frame(height, width, thickness=5):
    found = np.ones((height, width), np.bool_)
    found[thickness : height - thickness, thickness : width - thickness] = False
    return found


def noise(height, width, channels=3):
    return np.random.default_rng(0).random((height, width, channels), dtype=np.float32)


GROUNDS = [
    Ground(hole(61, 50)),
    Ground(frame(61, 50), tiles=True),
    Ground(hole(48, 64), tiles=True),
]


@pytest.mark.parametrize("ground", GROUNDS)
def test_patches_to_copy_from_hold_no_hole(ground):
    whole = np.argwhere(ground.whole)
    cut = ground.cut(np.float32(ground.hole)[..., None], whole)
    assert not cut.any()
    height, width = ground.hole.shape
    if not ground.tiles:
        assert (whole + SIDE <= (height, width)).all()
        others = np.argwhere(~ground.whole[: height - SIDE + 1, : width - SIDE + 1])
        assert ground.cut(np.float32(ground.hole)[..., None], others).any(axis=(1, 2, 3)).all()
    assert ground.has(ground.pool).all()
    assert not ground.has(np.array([(-1, 0), (0, -1), (height, 0), (0, width)])).any()


@pytest.mark.parametrize("ground", GROUNDS)
def test_the_queries_cover_the_hole(ground):
    assert not (ground.hole & ~ground.covered(ground.queries)).any()
    assert ground.cut(np.float32(ground.hole)[..., None], ground.queries).any(axis=(1, 2, 3)).all()
    assert len(np.unique(ground.queries, axis=0)) == len(ground.queries)


@pytest.mark.parametrize("ground", GROUNDS)
def test_copies_from_their_own_place_change_nothing(ground):
    """Also with unequal weights, and in a map of one channel."""
    weights = np.random.default_rng(1).uniform(0.1, 1, len(ground.queries)).astype(np.float32)
    for pixels in (noise(*ground.hole.shape), noise(*ground.hole.shape, channels=1)):
        copied = ground.copied(pixels, ground.queries, ground.queries, weights)
        np.testing.assert_allclose(copied, pixels, atol=1e-6)
        assert copied.dtype == pixels.dtype


def test_copies_from_a_period_away_fill_a_periodic_picture():
    """On a torus of three periods, from the third before."""
    ground = Ground(hole(60, 50), tiles=True)
    wave = np.sin(np.arange(60) * (2 * np.pi / 20))[:, None, None]
    pixels = np.repeat(wave, 50, 1).astype(np.float32)
    damaged = np.where(ground.hole[..., None], np.float32(9), pixels)
    moved = ground.around(ground.queries + np.array((20, 0)))
    field = Field(ground, moved, ground.has(moved).astype(np.float32) + np.float32(1e-9))
    near = ground.hole & ground.covered(ground.queries[~ground.has(moved)])
    np.testing.assert_allclose(field.apply(damaged)[~near], pixels[~near], atol=1e-5)
    assert not near.all()


@pytest.mark.parametrize("tiles", [False, True])
def test_confidence_falls_towards_the_middle(tiles):
    ground = Ground(hole(48, 64), tiles=tiles)
    confidence = ground.confidence[..., 0]
    np.testing.assert_array_equal(confidence[~ground.hole], 1)
    assert confidence[20, 17] < 1
    assert confidence[25, 25] == confidence.min() == pytest.approx(1.25**-5, rel=0.05)


def test_confidence_counts_across_the_edges_of_a_tile():
    thin = Ground(frame(48, 64), tiles=True).confidence
    # At the edge itself, the other border of the band lies as far again beyond.
    assert thin[0, 32, 0] == pytest.approx(1.25**-5, rel=0.05)
    assert Ground(np.ones((300, 300), np.bool_)).confidence.min() > 0


def test_a_hole_in_a_regular_pattern_is_peeled_away():
    """The exact pattern is there to be copied, and the border says where."""
    tile = noise(8, 8)
    pattern = np.tile(tile, (8, 8, 1))
    ground = Ground(hole(64, 64))
    damaged = np.where(ground.hole[..., None], np.float32(0.5), pattern)
    np.testing.assert_allclose(peeled(damaged, ground), pattern, atol=1e-5)
    nothing = np.where(ground.hole[..., None], np.float32(np.nan), pattern)
    again = peeled(np.nan_to_num(nothing, nan=-7), ground)
    np.testing.assert_allclose(again, pattern, atol=1e-5)  # what lay in the hole does not count


def test_the_search_finds_the_exact_patch():
    pattern = np.tile(noise(16, 16), (4, 4, 1))
    ground = Ground(hole(64, 64))
    field = matched(pattern, ground, [], np.random.default_rng(0))
    assert ground.has(field.sources).all()
    right = ((field.sources - ground.queries) % 16 == 0).all(axis=1)
    assert right.mean() > 0.5  # one of 256 by chance: this noise gives no hint where to look
    damaged = np.where(ground.hole[..., None], np.float32(0), pattern)
    assert np.abs(field.apply(damaged) - pattern).mean() < 0.01


def test_invalid_starts_are_not_taken():
    pattern = noise(64, 64)
    ground = Ground(hole(64, 64))
    starts = [np.full_like(ground.queries, 10_000), ground.queries, ground.queries - 10_000]
    field = matched(pattern, ground, starts, np.random.default_rng(0))
    assert ground.has(field.sources).all()


def test_a_field_is_enlarged_to_scale():
    small, large = Ground(hole(40, 40)), Ground(hole(80, 80, slice(40, 60), slice(34, 66)))
    sources = np.maximum(small.queries - (0, 16), 0)
    moves = (sources - small.queries)[:, 1].min()
    assert moves == -16
    field = Field(small, small.queries - (0, 16), np.ones(len(small.queries), np.float32))
    np.testing.assert_array_equal(field.enlarged(large), large.queries - (0, 32))
    np.testing.assert_array_equal(field.enlarged(small), field.sources)


def test_patches_lie_as_far_apart_as_the_columns_of_the_network():
    assert STEP == 4  # nstbatch.runtime.formulas.hypercolumns: a quarter of height and width
