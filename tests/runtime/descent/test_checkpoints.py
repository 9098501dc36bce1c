"""Checkpoints: a broken run goes on to the same bytes; nothing else is gone on from."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from nstbatch.exporter.checks.pictures import photo_like
from nstbatch.runtime.descent.checkpoints import CheckpointFile
from nstbatch.runtime.descent.loop import StopReason
from nstbatch.runtime.descent.pyramid import Checkpoint
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
from nstbatch.runtime.systems.style_transfer import StyleTransfer

CHECKPOINT = Checkpoint(
    level=1,
    steps=2,
    images=np.full((1, 3, 2, 2), 0.25, np.float32),
    state={"step": np.ones(1, np.float32)},
    taken=5,
    seen=[(0, 0.1), (1, 3.0)],
    begun=np.full((1, 3, 2, 2), 0.5, np.float32),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.npz"


def kept(path, *identity, every=0.0):
    CheckpointFile(path, *identity, every=every).keep(lambda: CHECKPOINT)


def test_what_is_kept_is_what_comes_back(path):
    kept(path, "run")
    checkpoint = CheckpointFile(path, "run").resume()
    assert (checkpoint.level, checkpoint.steps, checkpoint.taken) == (1, 2, 5)
    assert checkpoint.seen == [(0, 0.1), (1, 3.0)]
    np.testing.assert_array_equal(checkpoint.images, CHECKPOINT.images)
    np.testing.assert_array_equal(checkpoint.begun, CHECKPOINT.begun)
    assert checkpoint.state.keys() == {"step"}
    np.testing.assert_array_equal(checkpoint.state["step"], CHECKPOINT.state["step"])
    CheckpointFile(path, "run").discard()
    assert not path.exists()
    assert CheckpointFile(path, "run").resume() is None


def test_a_checkpoint_of_another_run_is_left_alone(path):
    photo = np.zeros((2, 2, 3), np.float32)
    kept(path, "options", photo)
    assert CheckpointFile(path, "options", photo.copy()).resume() is not None
    assert CheckpointFile(path, "other options", photo).resume() is None
    assert CheckpointFile(path, "options", photo + 1e-6).resume() is None


@pytest.mark.parametrize(
    "damage", [lambda data: data[:100], lambda data: b"", lambda data: b"x" * 50]
)
def test_a_damaged_checkpoint_is_none(path, damage):
    kept(path, "run")
    path.write_bytes(damage(path.read_bytes()))
    assert CheckpointFile(path, "run").resume() is None


def steps_in_the_file(path, seconds, count):
    """What the file holds after each of so many steps, by a clock that tells these seconds."""
    clock = iter(seconds)
    file = CheckpointFile(path, "run", every=60, clock=lambda: next(clock))
    for step in range(count):
        file.keep(partial(replace, CHECKPOINT, steps=step))
        checkpoint = file.resume()
        yield checkpoint and checkpoint.steps


def test_checkpoints_are_kept_as_often_as_asked_for(path):
    seconds = [0, 59, 60, 60, 61, 119, 121, 121]  # twice where one is written
    assert list(steps_in_the_file(path, seconds, 5)) == [None, 1, 1, 1, 4]


def test_checkpoints_that_take_long_are_kept_less_often(path):
    seconds = [0, 60, 72, 311, 312, 312]  # 12 seconds, four times what is tolerated
    assert list(steps_in_the_file(path, seconds, 3)) == [0, 0, 2]


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_broken_run_ends_bit_for_bit_as_a_whole_one(path, monkeypatch, optimizer):
    rng = np.random.default_rng(0)
    photo, painting = (photo_like(rng, 48, 64).transpose(1, 2, 0) for _ in range(2))
    options = StyleTransferOptions(size=64, iterations=8, scales=2, optimizer=optimizer)
    transfer = StyleTransfer("squeezenet1_1", device="cpu", threads=1)
    whole = transfer(photo, painting, options)

    monkeypatch.setattr("nstbatch.runtime.systems.system.CheckpointFile", always)
    for breaks in (2, 6):  # in the first size and in the second
        answers = iter([False] * breaks + [True])
        broken = transfer(
            photo, painting, options, checkpoint=path, stop=lambda answers=answers: next(answers)
        )
        assert (broken.reason, broken.steps) == (StopReason.STOPPED, breaks)
        assert path.exists()
        steps: list[int] = []
        rest = transfer(
            photo, painting, options, checkpoint=path, progress=partial(note_step, steps)
        )
        assert steps[0] == breaks
        np.testing.assert_array_equal(rest.image, whole.image)
        assert rest.losses == whole.losses
        assert rest.steps == whole.steps
        assert not path.exists()


def note_step(steps, progress):
    steps.append(progress.step)


def always(path, *identity):
    """A checkpoint after every step."""
    return CheckpointFile(path, *identity, every=0)
