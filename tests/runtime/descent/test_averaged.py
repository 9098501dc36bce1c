"""Means of iterates against their definition, and that a run shows and carries them."""

import functools

import numpy as np
import onnxruntime as ort
import pytest

from nstbatch.runtime.descent.averaged import Averaged, averaged
from nstbatch.runtime.descent.optimizers import LBFGS, Adam

SHAPE = (2, 3, 6, 5)
EACH = pytest.mark.parametrize("optimizer", [Adam(), LBFGS(history=3)], ids=["adam", "lbfgs"])


@functools.cache
def session(optimizer):
    model = optimizer.graph(SHAPE).SerializeToString()
    return ort.InferenceSession(model, providers=["CPUExecutionProvider"])


def steps(optimizer, count):
    """The images and states before the first step and after each, downhill to a grey of 0.5."""
    scalars = {"learning_rate": optimizer.learning_rate, "lower": 0, "upper": 1}
    scalars = {name: np.array(value, np.float32) for name, value in scalars.items()}
    images = np.random.default_rng(0).random(SHAPE, dtype=np.float32)
    seen = Seen(images, optimizer.initial_state(SHAPE))
    yield seen
    names = [value.name for value in session(optimizer).get_outputs()]
    for _ in range(count):
        inputs = {"image": seen.images, "gradient": seen.images - np.float32(0.5)}
        inputs |= {f"state/{name}": values for name, values in seen.state.items()}
        found = dict(zip(names, session(optimizer).run(None, inputs | scalars), strict=True))
        images = found.pop("image_out")
        seen = Seen(images, {name.removeprefix("state_out/"): v for name, v in found.items()})
        yield seen


class Seen:
    def __init__(self, images, state):
        self.images, self.state = images, state


@EACH
@pytest.mark.parametrize("decay", [0.5, 0.9, 0.99])
def test_it_is_the_exponential_mean_of_the_iterates(optimizer, decay):
    total, weights = 0.0, 0.0
    for seen in steps(Averaged(optimizer, decay), 12):
        total, weights = decay * total + np.float64(seen.images), decay * weights + 1
        shown = Averaged(optimizer, decay).shown(seen)
        np.testing.assert_allclose(shown, total / weights, rtol=0, atol=1e-6)
    assert np.abs(shown - seen.images).max() > 1e-4


@EACH
def test_the_iterates_are_those_of_the_optimiser_alone(optimizer):
    pairs = zip(steps(Averaged(optimizer, 0.9), 6), steps(optimizer, 6), strict=True)
    for with_mean, alone in pairs:
        np.testing.assert_array_equal(with_mean.images, alone.images)
        for name, values in alone.state.items():
            np.testing.assert_array_equal(with_mean.state[name], values)


@EACH
def test_at_another_size_the_mean_begins_anew(optimizer):
    *_, last = steps(Averaged(optimizer, 0.9), 6)
    carried = Averaged(optimizer, 0.9).resample(last.state, (9, 8))
    assert carried.keys() == last.state.keys()
    assert carried["average_offset"].shape == (2, 3, 9, 8)
    assert not carried["average_offset"].any()
    assert not carried["average_steps"].any()
    alone = {name: values for name, values in last.state.items() if "average" not in name}
    for name, values in optimizer.resample(alone, (9, 8)).items():
        np.testing.assert_array_equal(carried[name], values)


def test_without_decay_nothing_is_added():
    assert averaged(Adam(), 0) == Adam()
    assert averaged(Adam(), 0.9) == Averaged(Adam(), 0.9)
