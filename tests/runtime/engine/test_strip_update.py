"""An update in strips is that of the whole picture."""

import numpy as np
import pytest

from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.descent.optimizers import LBFGS, Adam
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.engine import network_sessions, strip_update
from nstbatch.runtime.engine.network_sessions import NetworkSessions
from nstbatch.runtime.engine.strip_update import StripUpdate
from nstbatch.runtime.names import GRADIENT, IMAGE, STATE

CPU, SHAPE = Provider("cpu", "fp32"), (1, 3, 40, 31)


@pytest.fixture
def short(monkeypatch):
    for module in (network_sessions, strip_update):
        monkeypatch.setattr(module, "STRIP", 3 * 128)


def opened(optimizer, shape=SHAPE):
    state = {name: tuple(each) for name, each in optimizer.state_shapes(shape).items()}
    sessions = NetworkSessions(Bundle.load("alexnet"), 1)
    return sessions.update(CPU, optimizer, shape, state)


def test_strips_move_each_value_as_the_whole_does(short, monkeypatch):
    random, optimizer = np.random.default_rng(0), Adam()
    inputs = {name: random.random(SHAPE, np.float32) for name in (IMAGE, GRADIENT)}
    inputs |= {STATE + "exp_avg": random.random(SHAPE, np.float32) - np.float32(0.5)}
    inputs |= {STATE + "exp_avg_sq": random.random(SHAPE, np.float32), STATE + "step": np.ones(1)}
    inputs |= {"learning_rate": np.float32(0.02), "lower": np.float32(0), "upper": np.float32(1)}
    inputs = {name: np.asarray(values, np.float32) for name, values in inputs.items()}
    strips = opened(optimizer)
    assert isinstance(strips, StripUpdate)
    found = strips.run(inputs)
    monkeypatch.setattr(network_sessions, "STRIP", 10**6)
    whole = opened(optimizer)
    assert not isinstance(whole, StripUpdate)
    assert strips.output_shapes == whole.output_shapes
    for name, values in whole.run(inputs).items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6, atol=1e-7)
        assert not np.array_equal(values, inputs.get(name.replace("_out", ""), 0))


@pytest.mark.parametrize(("optimizer", "shape"), [(LBFGS(), SHAPE), (Adam(), (2, *SHAPE[1:]))])
def test_what_is_not_elementwise_and_batches_have_no_strips(short, optimizer, shape):
    assert not isinstance(opened(optimizer, shape), StripUpdate)
