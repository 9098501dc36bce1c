"""When a loss counts as stalled."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nstbatch.runtime.descent.stall import WINDOW, Stall


def losses(total):
    return np.array([[total / 4, 3 * total / 4]], np.float32)


def steps_until_stalled(totals, tolerance, seen=(), every=1):
    stall, first = Stall(tolerance, seen), len(seen)
    steps = ((first + every * look, total) for look, total in enumerate(totals))
    return next((step for step, total in steps if stall(step, losses(total))), None)


def test_a_loss_that_stands_still_stalls_after_a_window():
    assert steps_until_stalled([5.0] * 100, 0.001) == WINDOW


@pytest.mark.parametrize(("every", "stalls_at"), [(5, 20), (10, 20), (15, 30)])
def test_the_window_is_one_of_steps_however_seldom_they_are_looked_at(every, stalls_at):
    assert WINDOW == 20
    assert steps_until_stalled([5.0] * 100, 0.001, every=every) == stalls_at


@pytest.mark.parametrize(("tolerance", "stalls"), [(0.17, False), (0.19, True)])
def test_a_loss_that_falls_is_held_against_the_tolerance(tolerance, stalls):
    falling = 0.99 ** np.arange(200)  # 18.2 % in 20 steps
    assert (steps_until_stalled(falling, tolerance) is not None) == stalls


def test_single_steps_upwards_are_no_stall():
    zigzag = [0.95**step * (1 + 0.5 * (step % 2)) for step in range(100)]
    assert steps_until_stalled(zigzag, 0.1) is None


def test_without_a_tolerance_nothing_stalls():
    assert steps_until_stalled([5.0] * 100, None) is None


def test_with_a_tolerance_of_nothing_only_what_rises_stalls():
    assert steps_until_stalled([5.0] * 100, 0.0) is None
    assert steps_until_stalled(np.linspace(1, 2, 100), 0.0) is not None


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=80), st.floats(0, 0.5), st.data())
def test_it_goes_on_from_what_was_seen_before(totals, tolerance, data):
    break_at = data.draw(st.integers(1, len(totals) - 1))
    whole = steps_until_stalled(totals, tolerance)
    before = Stall(tolerance)
    if any(before(step, losses(total)) for step, total in enumerate(totals[:break_at])):
        return
    assert steps_until_stalled(totals[break_at:], tolerance, before.seen) == whole
