"""The sizes of a run, whatever the picture; and that a run goes through them."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nstbatch.runtime.descent.loop import Outcome, StopReason
from nstbatch.runtime.descent.optimizers import LBFGS, Adam
from nstbatch.runtime.descent.pyramid import (
    FACTOR,
    OPENING,
    Level,
    coarse_to_fine,
    plan_levels,
    share_done,
)
from nstbatch.runtime.pictures.sizes import resize, resize_batch

SIDES = st.integers(1, 5000)
PLANS = {
    "height": SIDES,
    "width": SIDES,
    "size": st.integers(1, 3000),
    "scales": st.integers(1, 9),
    "steps": st.integers(1, 1000),
    "smallest": st.integers(1, 64),
    "margin": st.sampled_from([0.0, 1 / 32, 0.2]),
}


# --- Planning ---------------------------------------------------------------------------------


@given(**PLANS)
def test_the_last_level_has_the_size_asked_for(height, width, size, **plan):
    last = plan_levels(height, width, size=size, **plan)[-1]
    assert max(last.height, last.width) == size
    assert (last.height >= last.width) == (height >= width) or last.height == last.width


def test_no_margin_is_below_the_least():
    plan = {"size": 256, "scales": 4, "steps": 9, "smallest": 32, "margin": 1 / 32}
    levels = plan_levels(256, 256, least_margin=4, **plan)
    assert [level.margin for level in levels] == [4, 4, 6, 8]


@given(**PLANS)
def test_all_steps_are_taken_and_most_of_them_late(steps, **plan):
    levels = plan_levels(**plan, steps=steps)
    taken = [level.steps for level in levels]
    assert sum(taken) == steps
    assert max(taken) - min(taken) <= 1
    assert taken[-1] == max(taken)


@given(height=SIDES, width=SIDES, size=st.integers(1025, 9000), steps=st.integers(100, 1000))
def test_large_sizes_have_further_levels_and_few_steps(height, width, size, steps):
    about = {"scales": 4, "steps": steps, "smallest": 1, "power": 1.0}
    levels = plan_levels(height, width, size=size, **about, few_above=1024)
    sides = [max(level.height, level.width) for level in levels]
    assert sum(level.steps for level in levels) == steps
    assert sides[-1] == size
    assert sum(side <= 1024 for side in sides) >= 4
    assert sum(level.steps for level, side in zip(levels, sides, strict=True) if side > 1024) < (
        0.65 * steps + len(levels)
    )
    above = [level.steps for level, side in zip(levels, sides, strict=True) if side > 1024]
    assert all(later <= before + 1 for before, later in pairwise(above))


def test_one_scale_is_the_full_size_alone():
    about = {"size": 6000, "scales": 1, "steps": 9, "smallest": 1}
    assert [each.steps for each in plan_levels(40, 60, **about, few_above=1024)] == [9]


@given(**PLANS, power=st.sampled_from([-1.0, 1.0, 2.0]))
def test_the_steps_of_a_level_go_by_a_power_of_its_side(steps, power, **plan):
    levels = plan_levels(**plan, steps=steps, power=power)
    parts = [max(level.height, level.width) ** power for level in levels]
    assert sum(level.steps for level in levels) == steps
    for level, part in zip(levels, parts, strict=True):
        assert abs(level.steps - steps * part / sum(parts)) <= 1


@given(**PLANS)
def test_sizes_grow_by_the_same_factor(size, **plan):
    levels = plan_levels(size=size, **plan)
    sides = [max(level.height, level.width) for level in levels]
    assert all(coarse < fine for coarse, fine in pairwise(sides))
    for index, side in enumerate(reversed(sides)):
        # Below ten pixels, sizes that round to the same one are left out.
        assert side == round(size / FACTOR**index) or side < 10


@given(**PLANS)
def test_every_level_keeps_the_proportions_of_the_picture(height, width, **plan):
    for level in plan_levels(height, width, **plan):
        scale = max(level.height, level.width) / max(height, width)
        assert abs(level.height - height * scale) <= 0.5 or level.height == 1
        assert abs(level.width - width * scale) <= 0.5 or level.width == 1


@given(**PLANS)
def test_only_the_last_level_may_be_smaller_than_the_smallest(smallest, scales, **plan):
    levels = plan_levels(smallest=smallest, scales=scales, **plan)
    assert 1 <= len(levels) <= scales
    assert all(min(level.height, level.width) >= smallest for level in levels[:-1])


def test_no_level_that_is_large_enough_is_left_out():
    levels = plan_levels(600, 300, size=512, scales=4, steps=200, smallest=16, margin=1 / 32)
    sizes = [(level.height, level.width, level.margin, level.steps) for level in levels]
    assert sizes == [(181, 90, 6, 50), (256, 128, 8, 50), (362, 181, 11, 50), (512, 256, 16, 50)]
    kept = plan_levels(600, 300, size=512, scales=4, steps=200, smallest=100, margin=1 / 32)
    assert [level.height for level in kept] == [256, 362, 512]


@given(**PLANS, coarsest=st.integers(1, 300))
def test_only_the_last_level_may_be_below_the_coarsest(coarsest, **plan):
    levels = plan_levels(coarsest=coarsest, **plan)
    assert all(max(level.height, level.width) >= coarsest for level in levels[:-1])
    assert levels[-1] == replace(plan_levels(**plan)[-1], steps=levels[-1].steps)


@given(**PLANS)
def test_the_share_of_the_work_grows_to_all(steps, **plan):
    levels = plan_levels(**plan, steps=steps)
    shares = [
        share_done(levels, level, step)
        for level in levels
        for step in range(0, level.steps, max(1, level.steps // 10))
    ]
    assert not shares or shares[0] > 0  # the opening of the first level
    assert all(earlier < later for earlier, later in pairwise(shares))
    assert share_done(levels, levels[-1], levels[-1].steps) == 1


def test_a_step_counts_by_its_pixels_and_an_opening_like_some_steps():
    levels = [Level(10, 10, 0, 2), Level(18, 18, 1, 3)]
    places = [(0, 1), (0, 2), (1, 0), (1, 1), (1, 3)]
    shares = [share_done(levels, levels[level], step) for level, step in places]
    coarse, fine = 100 * (OPENING + 2), 400 * (OPENING + 3)
    works = [coarse - 100, coarse, coarse + 400 * OPENING, coarse + 400 * (OPENING + 1)]
    np.testing.assert_allclose(shares, np.array([*works, coarse + fine]) / (coarse + fine))


# --- The margin -------------------------------------------------------------------------------

LEVELS = st.builds(
    Level,
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    margin=st.integers(0, 12),
    steps=st.just(1),
)


@given(level=LEVELS, seed=st.integers(0, 99))
def test_the_margin_is_cut_off_exactly(level, seed):
    random = np.random.default_rng(seed)
    photo = random.random((level.height, level.width, 3), np.float32)
    canvas = level.fit(photo)
    assert canvas.shape == (1, 3, *level.canvas)
    np.testing.assert_array_equal(level.cut(canvas)[0].transpose(1, 2, 0), photo)
    batch = random.random((2, 3, *level.canvas), np.float32)
    assert level.cut(batch).shape == (2, 3, level.height, level.width)


@given(level=LEVELS)
def test_the_margin_mirrors_the_picture(level):
    assume(level.margin <= min(level.height, level.width))
    photo = np.random.default_rng(0).random((level.height, level.width, 3), np.float32)
    canvas = level.fit(photo)[0]
    m = level.margin
    rows, columns = canvas.shape[1:]
    for row in range(m):
        np.testing.assert_array_equal(canvas[:, m - 1 - row], canvas[:, m + row])
        np.testing.assert_array_equal(canvas[:, rows - m + row], canvas[:, rows - m - 1 - row])
    for column in range(m):
        np.testing.assert_array_equal(canvas[:, :, m - 1 - column], canvas[:, :, m + column])
        np.testing.assert_array_equal(
            canvas[:, :, columns - m + column], canvas[:, :, columns - m - 1 - column]
        )


def test_a_picture_of_another_size_is_resized_to_fit():
    photo = np.random.default_rng(0).random((40, 30, 3), np.float32)
    canvas = Level(20, 15, 2, 1).fit(photo)
    np.testing.assert_array_equal(
        canvas[0, :, 2:-2, 2:-2].transpose(1, 2, 0), resize(photo, (20, 15))
    )


# --- Running ----------------------------------------------------------------------------------


class Brighter:
    """A descent that moves every pixel up by 0.01 a step, and can be told to fail."""

    def __init__(self, images, state, fails_after=None):
        self.images, self.state, self.left = images, state, fails_after

    def evaluate(self):
        return np.array([[self.images.mean()]], np.float32) * (np.nan if self.left == -1 else 1)

    def update(self):
        self.before = self.images
        self.images = np.clip(self.images + np.float32(0.01), 0, 1)
        self.state = {name: values + 1 for name, values in self.state.items()}
        if self.left is not None:
            self.left -= 1

    def to_next_look(self, left, stop):
        self.update()
        return self.evaluate(), 1

    def step_back(self):
        self.images = self.before

    def close(self):
        self.is_closed = True


LEVELS_OF_THREE = [Level(6, 8, 1, 2), Level(9, 12, 1, 3), Level(12, 16, 2, 4)]


def run(optimizer=None, *, stop=lambda: False, fails_at=None, keeper=None, tolerance=None):
    opened, reports = [], []

    def open_descent(level, images, state, begun):
        opened.append((level, images, state))
        return Brighter(images, state, 2 if len(opened) == fails_at else None)

    outcome = coarse_to_fine(
        LEVELS_OF_THREE,
        LEVELS_OF_THREE[0].fit(np.random.default_rng(0).random((6, 8, 3), np.float32) / 2),
        optimizer or Adam(),
        open_descent,
        lambda level, step, losses, images: reports.append((level, step)),
        stop,
        keeper=keeper,
        tolerance=tolerance,
    )
    return outcome, opened, reports


def test_every_level_starts_where_the_one_before_ended():
    outcome, opened, _ = run()
    assert [level for level, _, _ in opened] == LEVELS_OF_THREE
    assert outcome.steps == 9
    assert outcome.reason is StopReason.FINISHED
    images = opened[0][1]
    for level, start, _ in opened:
        assert start.shape == (1, 3, *level.canvas)
        np.testing.assert_allclose(start, resize_batch(images, level.canvas), atol=1e-6)
        images = start
        for _ in range(level.steps):
            images = np.clip(images + np.float32(0.01), 0, 1)
    np.testing.assert_array_equal(outcome.images, images)


@pytest.mark.parametrize("optimizer", [Adam(), LBFGS(history=2)], ids=lambda o: o.name)
def test_the_state_is_resampled_between_levels(optimizer):
    _, opened, _ = run(optimizer)
    before = opened[0][2]
    for (level, _, _), (larger, _, state) in pairwise(opened):
        ended = {name: values + level.steps for name, values in before.items()}
        expected = optimizer.resample(ended, larger.canvas)
        assert state.keys() == expected.keys()
        for name, values in state.items():
            np.testing.assert_array_equal(values, expected[name])
        before = state


def test_reports_count_the_steps_of_each_level():
    _, _, reports = run()
    assert [step for _, step in reports] == [0, 1, 2, 0, 1, 2, 3, 0, 1, 2, 3, 4]
    assert [level.height for level, _ in reports] == [6] * 3 + [9] * 4 + [12] * 5


def test_a_run_that_is_stopped_goes_to_no_further_level():
    answers = iter([False, False, False, True])
    outcome, opened, _ = run(stop=lambda: next(answers))
    assert outcome.reason is StopReason.STOPPED
    assert outcome.steps == 3
    assert len(opened) == 2
    assert outcome.images.shape[2:] == LEVELS_OF_THREE[1].canvas


class Memory:
    """Keeps every checkpoint, and goes on from a given one."""

    def __init__(self, start=None):
        self.start = start
        self.kept = []

    def resume(self):
        return self.start

    def keep(self, checkpoint):
        self.kept.append(checkpoint())


def test_a_run_goes_on_from_every_checkpoint_to_the_same_end():
    whole = Memory()
    expected, _, reports = run(keeper=whole)
    assert [(kept.level, kept.steps) for kept in whole.kept] == [
        (0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2), (2, 3),
    ]  # fmt: skip
    for start in whole.kept:
        rest = Memory(start)
        outcome, _, later = run(keeper=rest)
        np.testing.assert_array_equal(outcome.images, expected.images)
        assert outcome.steps == expected.steps
        assert later == reports[-len(later) :]
        left = [(kept.level, kept.steps) for kept in rest.kept]
        assert left == [(kept.level, kept.steps) for kept in whole.kept][-len(left) :]


def test_a_level_that_fails_is_the_last():
    outcome, opened, _ = run(fails_at=2)
    assert outcome.reason is StopReason.NON_FINITE
    assert len(opened) == 2
    assert outcome.steps == 2 + 2
    assert np.isfinite(outcome.losses).all()


def test_levels_of_one_size_share_images_and_state():
    images, states = [], []

    def open_descent(level, start, state, begun):
        images.append(start)
        states.append(state)
        return Brighter(start, state)

    level = Level(4, 4, 0, 1)
    first = np.zeros((1, 3, 4, 4), np.float32)
    outcome = coarse_to_fine(
        [level, level], first, Adam(), open_descent, lambda *_: None, lambda: False
    )
    assert isinstance(outcome, Outcome)
    np.testing.assert_allclose(outcome.images, 0.02)
    np.testing.assert_array_equal(states[1]["step"], [1])
