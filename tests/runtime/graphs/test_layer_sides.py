"""The height and width of layers, against what the network computes."""

import numpy as np
import pytest

from nstbatch.runtime.engine.engine import Engine
from nstbatch.runtime.needs.network_facts import layer_sides
from nstbatch.runtime.objectives.terms import content


@pytest.mark.parametrize("size", [(64, 80), (67, 91)])
@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_sides_are_those_of_the_activations(size, pooling):
    engine = Engine("alexnet", device="cpu", threads=1)
    sides = layer_sides(engine.bundle, pooling, size)
    names = [layer.name for layer in engine.bundle.layers if layer.stride is not None]
    assert sides.keys() == set(names)
    for name in ("relu1", "relu3", "pool5"):
        image = np.zeros((1, 3, *size), np.float32)
        (activation,) = engine.targets(content(name).terms, image, pooling).values()
        assert tuple(sides[name]) == activation.shape[2:]
