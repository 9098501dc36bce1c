"""The progress of a run and of its parts, as callbacks see it."""

import numpy as np
import pytest

from nstbatch.runtime.descent.progress import named_losses, part_of_run, reporter
from nstbatch.runtime.descent.pyramid import Level
from nstbatch.runtime.objectives.terms import content, total_variation

OBJECTIVE = 2 * content("relu1") + total_variation()
LEVELS = [Level(10, 20, margin=0, steps=4), Level(20, 40, margin=0, steps=4)]


def test_losses_are_named_by_their_terms():
    losses = named_losses(OBJECTIVE, np.array([[3.0, 4.0]], np.float32))
    assert list(losses.values()) == [3, 4, 7]
    assert list(losses)[:2] == [term.name for term in OBJECTIVE.terms]
    assert list(losses)[2] == "total"


def test_losses_of_several_pictures_that_a_view_shows_for_one_are_added():
    losses = named_losses(OBJECTIVE, np.array([[3.0, 4.0], [1.0, 2.0]], np.float32))
    assert list(losses.values()) == [4, 6, 10]


def test_steps_count_over_all_levels_and_shares_by_their_pixels():
    reports = []
    report = reporter(reports.append, OBJECTIVE, LEVELS)
    losses = np.zeros((1, 2), np.float32)
    report(LEVELS[0], 4, losses)
    report(LEVELS[1], 2, losses)
    first, second = reports
    assert (first.scale, first.scales, first.step, first.steps) == (1, 2, 4, 8)
    assert (second.scale, second.step, second.height, second.width) == (2, 6, 20, 40)
    assert [first.share, second.share] == pytest.approx([1 / 5, 3 / 5])


def test_a_part_reports_the_whole_run():
    reports = []
    part = part_of_run(reports.append, 2, 4, "relu3")
    report = reporter(part, OBJECTIVE, LEVELS[:1])
    report(LEVELS[0], 2, np.zeros((1, 2), np.float32))
    (told,) = reports
    assert (told.stage, told.step, told.steps, told.share) == ("relu3", 10, 16, 0.625)


def test_nothing_is_reported_without_a_callback():
    assert part_of_run(None, 0, 2, "relu3") is None
    reporter(None, OBJECTIVE, LEVELS)(LEVELS[0], 1, np.zeros((1, 2), np.float32))
