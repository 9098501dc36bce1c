"""The progress of a run and of its parts, as callbacks see it."""

import numpy as np
import pytest

from nstbatch.runtime.descent.progress import named_losses, part_of_run, reporter
from nstbatch.runtime.descent.pyramid import OPENING, Level
from nstbatch.runtime.objectives.terms import content, total_variation
from nstbatch.runtime.pictures.sizes import from_nchw

OBJECTIVE = 2 * content("relu1") + total_variation()
LEVELS = [Level(10, 20, margin=0, steps=4), Level(20, 40, margin=0, steps=4)]
LOSSES = np.zeros((1, 2), np.float32)


def no_images() -> np.ndarray:
    raise AssertionError("the picture so far was not asked for")


def test_losses_are_named_by_their_terms():
    losses = named_losses(OBJECTIVE, np.array([[3.0, 4.0]], np.float32))
    assert list(losses.values()) == [3, 4, 7]
    assert list(losses)[:2] == [term.name for term in OBJECTIVE.terms]
    assert list(losses)[2] == "total"


def test_losses_of_several_pictures_that_a_view_shows_for_one_are_added():
    losses = named_losses(OBJECTIVE, np.array([[3.0, 4.0], [1.0, 2.0]], np.float32))
    assert list(losses.values()) == [4, 6, 10]


def test_steps_count_over_all_levels_and_shares_by_their_pixels_and_openings():
    reports = []
    report = reporter(reports.append, OBJECTIVE, LEVELS, from_nchw)
    report(LEVELS[0], 4, LOSSES, no_images)
    report(LEVELS[1], 2, LOSSES, no_images)
    first, second = reports
    assert (first.scale, first.scales, first.step, first.steps) == (1, 2, 4, 8)
    assert (second.scale, second.step, second.height, second.width) == (2, 6, 20, 40)
    opened = OPENING + 4
    assert first.share == pytest.approx(1 / 5)
    assert second.share == pytest.approx((opened + 4 * (OPENING + 2)) / (5 * opened))


def test_the_picture_so_far_is_made_when_it_is_asked_for():
    reports, copies = [], []

    def images():
        copies.append(np.random.default_rng(0).random((1, 3, 14, 24), np.float32))
        return copies[-1]

    level = Level(10, 20, margin=2, steps=4)
    report = reporter(reports.append, OBJECTIVE, [level], lambda cut: from_nchw(cut) / 2)
    report(level, 1, LOSSES, images)
    assert not copies
    picture = reports[0].picture()
    np.testing.assert_array_equal(picture, from_nchw(copies[0])[2:12, 2:22] / 2)


def test_a_part_reports_the_whole_run():
    reports = []
    part = part_of_run(reports.append, 2, 4, "relu3")
    report = reporter(part, OBJECTIVE, LEVELS[:1], from_nchw)
    report(LEVELS[0], 4, LOSSES, no_images)
    (told,) = reports
    assert (told.stage, told.step, told.steps, told.share) == ("relu3", 12, 16, 0.75)


def test_nothing_is_reported_without_a_callback():
    assert part_of_run(None, 0, 2, "relu3") is None
    reporter(None, OBJECTIVE, LEVELS, from_nchw)(LEVELS[0], 1, LOSSES, no_images)
