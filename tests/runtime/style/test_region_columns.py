"""Columns of regions, found by brute force, and the colours of regions."""

import numpy as np
import pytest

from nstbatch.runtime.style.paintings import Painting
from nstbatch.runtime.style.region_columns import (
    NOWHERE,
    nearest_within,
    places_of,
    places_of_regions,
    recolored_by_region,
    region_numbers,
)

RED, BLUE = "ff0000", "0000ff"


def halves(height=8, width=12):
    left = np.zeros((height, width), np.float32)
    left[:, : width // 2] = 1
    return {RED: left, BLUE: 1 - left}


def test_each_place_has_the_region_that_covers_most_of_it():
    regions = {RED: np.array([[1, 0.6, 0, 0]], np.float32), BLUE: np.array([[0, 0.4, 1, 0.4]])}
    regions = {name: region.astype(np.float32) for name, region in regions.items()}
    assert region_numbers(regions, (1, 4)).tolist() == [0, 0, 1, NOWHERE]
    assert region_numbers(regions, (1, 2)).tolist() == [0, 1]


def test_a_painting_without_regions_has_the_style_everywhere():
    painting = Painting(np.zeros((8, 12, 3), np.float32))
    assert places_of(painting, RED, (2, 3)).all()


def test_a_small_region_keeps_the_places_that_it_covers_most():
    speck = np.zeros((8, 12), np.float32)
    speck[0, 0] = 1
    painting = Painting(np.zeros((8, 12, 3), np.float32), regions={RED: speck, BLUE: 1 - speck})
    assert np.flatnonzero(places_of(painting, RED, (2, 3))).tolist() == [0]
    assert not places_of(painting, "00ff00", (2, 3)).any()


def test_neighbours_are_those_of_the_region_alone():
    random = np.random.default_rng(0)
    queries, candidates = random.random((5, 24)), random.random((5, 40))
    numbers = random.integers(-1, 2, 24)
    allowed = [np.arange(40) < 15, np.arange(40) >= 10]

    def nearest(asking, offered):
        return (asking.T @ offered).argmax(1)

    found = nearest_within(queries, numbers, candidates, allowed, nearest)
    for query, number, chosen in zip(queries.T, numbers, found, strict=True):
        if number == NOWHERE:
            assert chosen == NOWHERE
        else:
            products = np.where(allowed[number], query @ candidates, -np.inf)
            assert chosen == products.argmax()


def test_paintings_offer_their_places_one_after_another():
    one = Painting(np.zeros((8, 12, 3), np.float32), regions=halves())
    other = Painting(np.zeros((4, 4, 3), np.float32), regions={BLUE: np.ones((4, 4), np.float32)})
    red, blue = places_of_regions([one, other], halves(), [(2, 2), (1, 1)])
    assert red.tolist() == [True, False, True, False, False]
    assert blue.tolist() == [False, True, False, True, True]


def test_each_region_gets_the_colours_of_its_style():
    random = np.random.default_rng(0)
    image = random.random((16, 24, 3), dtype=np.float32)
    style = 0.2 + 0.2 * random.random((16, 24, 3), dtype=np.float32)
    style[:, 12:] += 0.4
    painting = Painting(style, regions=halves(16, 24))
    made = recolored_by_region(image, halves(16, 24), [painting])
    for half in (np.s_[:, :12], np.s_[:, 12:]):
        np.testing.assert_allclose(made[half].mean((0, 1)), style[half].mean((0, 1)), atol=0.01)
    left = {RED: halves(16, 24)[RED]}
    kept = recolored_by_region(image, left, [painting])
    np.testing.assert_array_equal(kept[:, 12:], image[:, 12:])


@pytest.mark.parametrize("regions", [{}, {"white": np.ones((16, 24), np.float32)}])
def test_one_region_is_the_whole_picture(regions):
    random = np.random.default_rng(0)
    image, style = random.random((2, 16, 24, 3), dtype=np.float32)
    made = recolored_by_region(image, regions, [Painting(style)])
    np.testing.assert_allclose(made.mean((0, 1)), style.mean((0, 1)), atol=0.02)
