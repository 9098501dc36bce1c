"""The loop over images in numpy, with no graph and no device."""

import numpy as np
import pytest

from nstbatch.runtime.descent.loop import StopReason, descend
from nstbatch.runtime.errors import StoppedError

SHAPE = (2, 3, 4, 5)


class Halving:
    """Steppable images whose values halve in every step; their losses are half their squares."""

    def __init__(self, worst=np.inf, bad=np.nan, terminated_at=None):
        self.images = np.full(SHAPE, 2.0, np.float32)
        self.before = self.images
        self.state = {}
        self.steps = 0
        self._worst, self._bad, self._terminated_at = worst, bad, terminated_at

    def evaluate(self):
        return 0.5 * np.square(self.images).sum((1, 2, 3))[:, None]

    def to_next_look(self, left, stop):
        assert left >= 1
        if self.steps == self._terminated_at:
            raise StoppedError
        self.before, self.images = self.images, self.images / 2
        self.steps += 1
        losses = self.evaluate()
        return (np.full_like(losses, self._bad) if self.steps > self._worst else losses), 1

    def step_back(self):
        self.images = self.before

    def close(self):
        pass


def no_report(step, losses):
    pass


def never():
    return False


def test_every_evaluation_is_reported():
    reports = []
    outcome = descend(Halving(), 6, lambda taken, losses: reports.append((taken, losses)), never)
    assert [taken for taken, _ in reports] == list(range(7))
    np.testing.assert_array_equal(reports[0][1], Halving().evaluate())
    np.testing.assert_array_equal(reports[-1][1], outcome.losses)
    first, second, third = (losses.sum() for _, losses in reports[:3])
    assert first > second > third


@pytest.mark.parametrize("patience", [0, 3])
def test_a_run_stops_when_asked_to(patience):
    asked = []

    def stop():
        asked.append(True)
        return len(asked) > patience

    outcome = descend(Halving(), 10, no_report, stop)
    assert (outcome.reason, outcome.steps) == (StopReason.STOPPED, patience)
    np.testing.assert_array_equal(outcome.images, np.full(SHAPE, 2.0 / 2**patience))


def test_stop_is_not_called_after_the_last_step():
    asked = []
    outcome = descend(Halving(), 3, no_report, lambda: asked.append(True) or False)
    assert len(asked) == 3
    assert outcome.reason is StopReason.FINISHED


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_loss_that_is_not_finite_ends_the_run_with_the_images_before_it(bad):
    reports = []
    run = Halving(worst=4, bad=bad)
    outcome = descend(run, 50, lambda taken, losses: reports.append(losses), never)
    assert (outcome.reason, outcome.steps) == (StopReason.NON_FINITE, 4)
    assert np.isfinite(reports).all()
    np.testing.assert_array_equal(outcome.losses, reports[-1])
    np.testing.assert_array_equal(outcome.images, np.full(SHAPE, 2.0 / 2**4))


def test_a_terminated_step_ends_the_run_with_the_images_before_it():
    outcome = descend(Halving(terminated_at=2), 50, no_report, never)
    assert (outcome.reason, outcome.steps) == (StopReason.STOPPED, 2)
    np.testing.assert_array_equal(outcome.images, np.full(SHAPE, 2.0 / 2**2))


def test_a_stalled_run_ends_before_it_is_kept():
    kept = []
    outcome = descend(Halving(), 10, no_report, never, kept.append, lambda step, losses: step == 3)
    assert (outcome.reason, outcome.steps) == (StopReason.STALLED, 3)
    assert kept == [0, 1, 2]


def test_only_finished_and_stalled_runs_are_a_success():
    successful = {reason for reason in StopReason if reason.is_success}
    assert successful == {StopReason.FINISHED, StopReason.STALLED}


@pytest.mark.parametrize("reason", StopReason)
def test_a_reason_is_a_sentence(reason):
    assert reason.value[0].isupper()
    assert reason.value.endswith(".")
