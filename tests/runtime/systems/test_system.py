"""The run that all systems share."""

import numpy as np
import pytest

from nstbatch.runtime.descent.checkpoints import CheckpointFile
from nstbatch.runtime.descent.loop import StopReason
from nstbatch.runtime.descent.optimizers import Adam
from nstbatch.runtime.descent.pyramid import Level
from nstbatch.runtime.objectives.terms import total_variation
from nstbatch.runtime.pictures.images import Picture
from nstbatch.runtime.systems.system import Run, System

LEVELS = [Level(24, 32, margin=2, steps=2), Level(36, 48, margin=2, steps=2)]


@pytest.fixture(scope="module")
def system() -> System:
    return System("alexnet", device="cpu", threads=1)


def smoothing(**parts) -> Run:
    """A run that smooths noise, which needs no targets."""
    images = np.random.default_rng(0).random((1, 3, *LEVELS[0].canvas), np.float32)
    described = {"levels": LEVELS, "images": images, "optimizer": Adam(), "pooling": "avg"}
    described |= {"objective": 1.0 * total_variation(), "targets": lambda level, begun: {}}
    return Run(**described | parts)


def test_a_run_goes_through_its_levels_and_cuts_the_margin_off(system):
    reports = []
    result = system._carry_out(smoothing, reports.append, None)
    assert [report.step for report in reports] == [0, 1, 2, 2, 3, 4]
    assert (result.steps, result.reason) == (4, StopReason.FINISHED)
    assert result.image.shape == (36, 48, 3)
    assert result.losses == reports[-1].losses
    assert (result.provider, result.precision) == ("cpu", "fp32")
    assert result.alpha is None
    assert result.seconds > 0


def test_a_run_that_is_stopped_has_the_size_of_its_level(system):
    result = system._carry_out(smoothing, None, lambda: True)
    assert (result.steps, result.reason) == (0, StopReason.STOPPED)
    assert result.image.shape == (24, 32, 3)


def test_views_and_targets_are_those_of_each_level(system):
    seen = []

    def targets(level, begun):
        seen.append(level)
        return {}

    system._carry_out(lambda: smoothing(targets=targets), None, None)
    assert seen == LEVELS


def test_the_photo_gives_its_alpha_and_finish_makes_the_picture(system):
    alpha = np.ones((10, 10), np.float32)
    run = smoothing(
        photo=Picture(np.zeros((10, 10, 3), np.float32), alpha=alpha),
        finish=lambda images: np.full((5, 6, 3), images.shape[3], np.float32),
    )
    result = system._carry_out(lambda: run, None, None)
    assert result.alpha.shape == (5, 6)
    np.testing.assert_array_equal(result.image, np.full((5, 6, 3), 48))


def test_a_checkpoint_outlives_a_stop_and_no_finished_run(system, tmp_path):
    path = tmp_path / "run.npz"
    checkpoint = CheckpointFile(path, "run", every=0)
    asked = iter([False, False, False, True])
    run = smoothing(checkpoint=checkpoint)
    stopped = system._carry_out(lambda: run, None, lambda: next(asked))
    assert (stopped.reason, path.exists()) == (StopReason.STOPPED, True)
    resumed = system._carry_out(lambda: run, None, None)
    assert (resumed.reason, path.exists()) == (StopReason.FINISHED, False)
    whole = system._carry_out(smoothing, None, None)
    np.testing.assert_array_equal(resumed.image, whole.image)
