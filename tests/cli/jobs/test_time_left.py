import pytest

from nstbatch.cli.jobs.time_left import ENOUGH, TimeLeft


@pytest.fixture
def now() -> list[float]:
    return [100.0]


@pytest.fixture
def left(now) -> TimeLeft:
    return TimeLeft(4, clock=lambda: now[0])


def test_there_is_no_estimate_before_there_is_something_to_go_by(left, now):
    assert left.seconds is None
    left.update(0.1)
    now[0] += ENOUGH / 2
    left.update(0.2)
    assert left.seconds is None
    now[0] += ENOUGH
    assert left.seconds is None  # nothing was done meanwhile
    left.update(0.2)
    assert left.seconds == pytest.approx(3.8 / (0.1 / (1.5 * ENOUGH)))


def test_the_time_before_the_first_step_does_not_count(left, now):
    left.update(0.0)
    now[0] += 10
    left.update(1.0)
    assert left.seconds == pytest.approx(30)


def test_it_runs_down_between_two_steps_and_ends_at_none(left, now):
    left.update(0.0)
    now[0] += 10
    left.update(2.0)
    now[0] += 4
    assert left.seconds == pytest.approx(6)
    now[0] += 40
    assert left.seconds == 0


def test_a_picture_that_is_tried_again_starts_anew(left, now):
    left.update(0.5)
    now[0] += 10
    left.update(1.0)
    left.update(0.0)
    assert left.seconds is None
    now[0] += 10
    left.update(1.0)
    assert left.seconds == pytest.approx(30)
