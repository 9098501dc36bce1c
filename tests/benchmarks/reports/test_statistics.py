import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nstbatch.benchmarks.reports.statistics import (
    by_rounds,
    count_outliers,
    median_estimate,
    paired_ratio,
    percentile95,
    unpaired_ratio,
)

TIMES = st.floats(0.1, 1e4, allow_nan=False)
ROUNDS = st.lists(TIMES, min_size=1, max_size=9)
PAIRS = st.lists(st.tuples(TIMES, TIMES), min_size=1, max_size=9)


@settings(max_examples=30)
@given(ROUNDS)
def test_an_interval_holds_its_median_and_lies_within_the_values(values):
    estimate = median_estimate(values)
    assert min(values) <= estimate.low <= estimate.value <= estimate.high <= max(values)
    assert estimate == median_estimate(values)  # a report does not depend on chance


def test_the_interval_covers_what_it_should():
    """About 95 % of the intervals of 200 samples of nine values contain the true median."""
    rng = np.random.default_rng(0)
    found = [median_estimate(rng.normal(5, 1, 9)) for _ in range(200)]
    covered = np.mean([estimate.low <= 5 <= estimate.high for estimate in found])
    assert 0.90 < covered <= 1


def test_a_machine_that_drifts_cancels_in_a_ratio():
    drift = [1.0, 1.3, 2.0, 1.1, 3.0]
    slow, fast = [200 * factor for factor in drift], [50 * factor for factor in drift]
    ratio = paired_ratio(slow, fast)
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((4, 4, 4))
    assert not ratio.is_one()
    # Without rounds in common it does not, and the interval says so.
    apart = unpaired_ratio([[ms] for ms in slow], [[ms] for ms in fast])
    assert apart.value == pytest.approx(4)
    assert apart.low < 3 < 5 < apart.high


@settings(max_examples=30)
@given(PAIRS, PAIRS)
def test_turning_a_ratio_round_inverts_it(above, below):
    assert unpaired_ratio(above, below).value == pytest.approx(
        1 / unpaired_ratio(below, above).value
    )


@settings(max_examples=30)
@given(PAIRS)
def test_a_run_does_not_differ_from_itself(rounds):
    firsts = [first for first, _ in rounds]
    assert paired_ratio(firsts, firsts).is_one()
    assert unpaired_ratio(rounds, rounds).is_one()


def test_rounds_are_drawn_whole_and_the_median_is_that_of_all_steps():
    above, below = [[1, 9], [2, 8], [2, 20]], [[1, 1], [1, 1], [1, 1]]
    ratio = unpaired_ratio(above, below)
    assert ratio.value == 5  # of 1 2 2 8 9 20; the medians of the rounds would say 5, 5, 11
    assert ratio.low == 5
    assert ratio.high == 11


def test_rounds_are_summed_up_by_their_medians():
    assert by_rounds([1, 3, 10, 20, 30, 50], 3) == [2, 15, 40]
    assert by_rounds([1, 3, 10], 1) == [3]


def test_the_95th_percentile_is_interpolated():
    assert percentile95([0, 100]) == pytest.approx(95)
    assert percentile95([7]) == 7


def test_outliers_are_far_off_the_others():
    usual = [10.0, 10.1, 9.9, 10.05, 9.95]
    assert count_outliers(usual) == 0
    assert count_outliers([*usual, 10.9]) == 0  # less than ten standard deviations
    assert count_outliers([*usual, 25, 1]) == 2
    assert count_outliers([5.0] * 4) == 0
    assert count_outliers([5.0] * 4 + [5.1]) == 1
