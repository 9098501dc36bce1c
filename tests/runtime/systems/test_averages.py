"""Runs that show the mean of their iterates, at every size and after a break."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from nstbatch.runtime.descent.averaged import Averaged
from nstbatch.runtime.descent.checkpoints import CheckpointFile
from nstbatch.runtime.descent.loop import StopReason
from nstbatch.runtime.descent.optimizers import LBFGS, Adam
from nstbatch.runtime.descent.pyramid import Level
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.objectives.terms import total_variation
from nstbatch.runtime.pictures.sizes import resize_batch
from nstbatch.runtime.pictures.synthetic import photo_like
from nstbatch.runtime.style.nearest_neighbor_options import NearestNeighborOptions
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
from nstbatch.runtime.systems.nearest_neighbor_style import NearestNeighborStyle
from nstbatch.runtime.systems.style_transfer import StyleTransfer
from nstbatch.runtime.systems.system import Run, System

LEVELS = [Level(24, 32, margin=2, steps=4), Level(36, 48, margin=2, steps=4)]
DECAY = 0.8


@pytest.fixture(scope="module")
def system() -> System:
    return System("alexnet", device="cpu", threads=1)


def noise(seed):
    return np.random.default_rng(seed).random((1, 3, *LEVELS[0].canvas), np.float32)


def smoothing(**parts) -> Run:
    """A run that smooths noise, which needs no targets."""
    described = {"levels": LEVELS, "images": noise(0), "optimizer": Averaged(Adam(), DECAY)}
    described |= {"objective": 1.0 * total_variation(), "targets": lambda level, begun: {}}
    return Run(**{"pooling": "avg"} | described | parts)


def shown(system, run):
    """The pictures that each look at a run shows, by level and step, with their margins."""
    seen = {}

    def report(level, step, losses, images):
        seen[LEVELS.index(level), step] = images()

    outcome = system._descend(run, report, lambda: False)
    return seen, outcome


def test_each_size_shows_the_mean_of_its_iterates(system):
    iterates, _ = shown(system, smoothing(optimizer=Adam(), levels=LEVELS[:1]))
    means, outcome = shown(system, smoothing(levels=LEVELS[:1]))
    total, weights = 0.0, 0.0
    for place, images in iterates.items():
        total, weights = DECAY * total + np.float64(images), DECAY * weights + 1
        np.testing.assert_allclose(means[place], total / weights, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(outcome.images, means[0, 4])
    assert np.abs(means[0, 4] - iterates[0, 4]).max() > 0.01


def test_the_next_size_begins_with_the_mean(system):
    means, _ = shown(system, smoothing())
    begun = resize_batch(means[0, 4], LEVELS[1].canvas)
    np.testing.assert_array_equal(means[1, 0], begun)


@pytest.mark.parametrize("optimizer", [Adam(), LBFGS(history=3)], ids=["adam", "lbfgs"])
def test_a_run_that_was_killed_ends_with_the_same_bytes(system, tmp_path, optimizer):
    path, averaged = tmp_path / "run.npz", Averaged(optimizer, DECAY)
    whole = system._carry_out(lambda: smoothing(optimizer=averaged), None, None)
    for steps in (1, 2, 3, 1):  # in both sizes
        asked = iter([False] * steps + [True])
        run = smoothing(optimizer=averaged, checkpoint=CheckpointFile(path, "run", every=0))
        stopped = system._carry_out(lambda run=run: run, None, lambda a=asked: next(a))
        assert (stopped.reason, path.exists()) == (StopReason.STOPPED, True)
    run = smoothing(optimizer=averaged, checkpoint=CheckpointFile(path, "run", every=0))
    resumed = system._carry_out(lambda: run, None, None)
    np.testing.assert_array_equal(resumed.image, whole.image)


def test_pictures_of_several_threads_have_means_of_their_own():
    system, found = System("alexnet", device="cpu", threads=1), {}
    runs = {seed: smoothing(images=noise(seed)) for seed in (0, 1)}
    alone = {seed: system._carry_out(lambda run=run: run, None, None) for seed, run in runs.items()}
    system.engine.share(2)

    def paint(seed):
        found[seed] = system._carry_out(lambda: runs[seed], None, None)

    threads = [threading.Thread(target=paint, args=(seed,)) for seed in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, picture in alone.items():
        np.testing.assert_allclose(found[seed].image, picture.image, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (StyleTransfer, StyleTransferOptions(optimizer="adam", init="photo")),
        (NearestNeighborStyle, NearestNeighborOptions(init="photo")),
    ],
)
def test_both_methods_take_a_mean(kind, options):
    system = kind("squeezenet1_1", device="cpu", threads=1)
    photo, painting = (
        np.ascontiguousarray(photo_like(np.random.default_rng(s), 60, 72).transpose(1, 2, 0))
        for s in (0, 1)
    )
    last = replace(options, size=64, scales=1, iterations=4)
    mean = replace(last, average_decay=0.9)
    images = [system(photo, painting, each).image for each in (last, mean)]
    assert 0.001 < np.abs(images[0] - images[1]).mean() < 0.05


@pytest.mark.parametrize("decay", [-0.1, 1, "much"])
def test_a_decay_is_below_1(decay):
    with pytest.raises(UsageError, match="average_decay"):
        StyleTransferOptions(average_decay=decay)
