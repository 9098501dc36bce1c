"""Steps of one length, whatever the gradient's."""

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nstbatch.runtime.descent.normalized_gradient import NormalizedGradient

SHAPE = (2, 3, 4, 5)


@pytest.fixture(scope="module")
def session():
    model = NormalizedGradient().graph(SHAPE).SerializeToString()
    return ort.InferenceSession(model, providers=["CPUExecutionProvider"])


def moved(session, image, gradient, rate=0.1, bounds=(-np.inf, np.inf)):
    scalars = {"learning_rate": rate, "lower": bounds[0], "upper": bounds[1]}
    inputs = {name: np.array(value, np.float32) for name, value in scalars.items()}
    (result,) = session.run(None, inputs | {"image": image, "gradient": gradient})
    return result


def random(seed):
    return np.random.default_rng(seed).standard_normal(SHAPE, dtype=np.float32)


@given(seed=st.integers(0, 99), scale=st.sampled_from([1e-20, 1e-3, 1, 1e20]))
def test_a_step_is_as_long_whatever_the_gradient_is(session, seed, scale):
    image, gradient = random(seed), random(seed + 1)
    gradient[1] *= 1000  # each picture of a batch by itself
    step = moved(session, image, gradient * np.float32(scale)) - image
    np.testing.assert_allclose(np.abs(step).mean((1, 2, 3)), 0.1, rtol=1e-5)
    mean = np.abs(gradient).mean((1, 2, 3), keepdims=True)
    np.testing.assert_allclose(step, -0.1 * gradient / mean, atol=1e-6)


def test_no_gradient_is_no_step(session):
    np.testing.assert_array_equal(moved(session, random(0), np.zeros(SHAPE, np.float32)), random(0))


def test_pixels_stay_in_their_bounds(session):
    image = np.random.default_rng(0).random(SHAPE, dtype=np.float32)
    result = moved(session, image, random(1), rate=5, bounds=(0, 1))
    assert result.min() == 0
    assert result.max() == 1


def test_it_remembers_nothing():
    optimizer = NormalizedGradient()
    assert optimizer.initial_state(SHAPE) == optimizer.state_shapes(SHAPE) == {}
    assert optimizer.resample({}, (8, 8)) == {}
