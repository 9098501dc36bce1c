import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from nstbatch.cli.batch.loss_curve import POINTS, Curve


def curve(steps: int) -> list[list[float]]:
    kept = Curve()
    for step in range(steps):
        kept.add(step, 100.0 - step)
    return kept.points


@given(st.integers(1, 2000))
def test_a_curve_has_its_ends_and_not_too_many_points(steps):
    points = curve(steps)
    assert len(points) <= POINTS
    assert points[0] == [0, 100]
    assert points[-1] == [steps - 1, 101 - steps]
    assert points == sorted(points)
    gaps = {after[0] - before[0] for before, after in pairwise(points[:-1])}
    assert len(gaps) <= 1  # even, but for the last


def test_a_short_one_is_kept_whole():
    assert curve(60) == [[step, 100 - step] for step in range(60)]


def test_a_second_try_begins_a_new_curve():
    kept = Curve()
    for step in (0, 1, 2, 0, 1):
        kept.add(step, 5.0)
    assert kept.points == [[0, 5.0], [1, 5.0]]


def test_losses_that_are_not_finite_are_left_out():
    kept = Curve()
    assert kept.points == []
    kept.add(0, math.nan)
    assert kept.points == []
    kept.add(1, 2.0)
    kept.add(2, math.inf)
    assert kept.points == [[1, 2.0]]
