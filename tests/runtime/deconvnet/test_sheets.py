from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nstbatch.runtime.deconvnet.deconvnet import LayerMaxima, Projection
from nstbatch.runtime.deconvnet.drawing import GREY, drawn
from nstbatch.runtime.deconvnet.maxima import FilterMaxima, Maximum
from nstbatch.runtime.deconvnet.sheets import (
    evolution_sheet,
    filter_sheet,
    overview_sheet,
    sheet_path,
)
from nstbatch.runtime.graphs.receptive_field import Box

GREEN = np.array([0, 1, 0], np.float32)


def projection(rank=0, filter_number=3, side=30) -> Projection:
    """Of a green patch."""
    signed = np.random.default_rng(rank).standard_normal((side, side, 3)).astype(np.float32)
    patch = np.broadcast_to(GREEN, (side, side, 3)).copy()
    maximum = Maximum(filter_number, rank, 0, 0, 9.0 - rank)
    return Projection(maximum, Box(0, 0, side, side), signed, patch, (side, side))


def found(count: int) -> LayerMaxima:
    projections = [projection(rank) for rank in range(count)]
    filters = [FilterMaxima(n, 0, ()) for n in range(3)]
    filters.append(FilterMaxima(3, count, tuple(p.maximum for p in projections)))
    images = tuple(Path(f"image {n}.png") for n in range(12))
    return LayerMaxima("relu1", tuple(filters), images, {})


def green(sheet) -> int:
    return int((sheet == GREEN).all(axis=2).sum())


@given(
    # No number that the factor could make a subnormal one.
    hnp.arrays(
        np.float32, (5, 4, 3), elements=st.just(0) | st.floats(1e-30, 1e3) | st.floats(-1e3, -1e-30)
    ),
    st.floats(2**-20, 2**20),
)
def test_a_projection_is_drawn_around_grey_whatever_its_scale(signed, factor):
    picture = drawn(signed)
    assert ((picture >= 0) & (picture <= 1)).all()
    assert (np.sign(picture - GREY) == np.sign(signed))[np.abs(signed) > 1e-2].all()
    # The exact turning point of a power of two is not at stake.
    np.testing.assert_allclose(drawn(signed * np.float32(factor)), picture, atol=1e-2)


def test_nothing_is_grey():
    np.testing.assert_array_equal(drawn(np.zeros((4, 4, 3), np.float32)), GREY)


@pytest.mark.parametrize("count", [1, 4, 9])
def test_a_sheet_shows_every_maximum_and_its_patch(count):
    sheet = filter_sheet("alexnet", found(count), 3, [projection(rank) for rank in range(count)])
    assert green(sheet) == count * 150**2  # 30 pixels, five times as large
    assert filter_sheet("alexnet", found(count), 3, []).shape != sheet.shape


def test_what_ends_at_the_edge_is_filled_up_to_the_size_of_the_rest():
    whole, cut = projection(0), projection(1)
    cut = replace(
        cut, box=Box(0, 50, 12, 70), projected=cut.projected[:12, :20], patch=cut.patch[:12, :20]
    )
    sheet = filter_sheet("alexnet", found(2), 3, [whole, cut])
    assert green(sheet) == 25 * (30 * 30 + 12 * 20)
    alone = filter_sheet("alexnet", found(1), 3, [cut])
    assert green(alone) == 25 * 12 * 20  # to the same scale
    # The patch of the box that has no pixels above and right of it: its place within its cell.
    rows, columns = np.nonzero((alone == GREEN).all(axis=2))
    cell = alone[rows.max() + 1 - 150 : rows.max() + 1, columns.min() : columns.min() + 150]
    beyond = np.ones((150, 150), bool)
    beyond[90:, :100] = False
    assert (cell[beyond] == np.float32(GREY)).all()
    assert (cell[~beyond] == GREEN).all()


def test_the_sheet_of_a_dead_filter_says_so():
    sheet = filter_sheet("alexnet", found(1), 0, [])
    assert green(sheet) == 0
    assert (sheet == np.float32(GREY)).all(axis=2).sum() == 160**2
    assert (sheet.max(axis=2) < 0.4).any()  # letters


def test_an_overview_has_a_row_for_each_filter():
    rows = {n: [projection(rank, n) for rank in range(9)] for n in (3, 8)}
    one = overview_sheet("alexnet", found(9), {3: rows[3]})
    both = overview_sheet("alexnet", found(9), rows)
    assert green(both) == 2 * green(one) == 2 * 9 * 60**2
    assert both.shape[0] > one.shape[0]
    with_dead = overview_sheet("alexnet", found(9), {0: [], **rows})
    assert green(with_dead) == green(both)
    assert with_dead.shape[0] > both.shape[0]
    assert overview_sheet("alexnet", found(9), {0: [], 1: []}).ndim == 3  # all dead


def test_evolution_has_a_column_for_each_checkpoint():
    epochs = {str(e): {3: projection(e), 5: None if e == 0 else projection(e)} for e in range(3)}
    sheet = evolution_sheet("net", epochs)
    assert green(sheet) == 5 * 60 * 60  # a pair of 60x30, doubled
    fewer = evolution_sheet("net", {name: epochs[name] for name in ("0", "1")})
    assert fewer.shape[1] < sheet.shape[1]


def test_layers_with_slashes_have_files():
    assert sheet_path(Path("out"), "fire7/concat", 42) == Path("out/fire7_concat_filter_0042.png")
