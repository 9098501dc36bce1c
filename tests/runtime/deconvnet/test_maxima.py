"""The streaming search, against sorting everything at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nstbatch.runtime.deconvnet.deconvnet_options import STRONGEST
from nstbatch.runtime.deconvnet.maxima import StrongestActivations

# Few different values, so that ties are the rule.
ACTIVATIONS = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 30), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
    elements=st.integers(-2, 3).map(float),
)


def brute_force(activations, filter_number):
    """(value, image, row, column) of the strongest, one an image, the first of equal ones."""
    found = []
    for image, activation in enumerate(activations[:, filter_number]):
        positions = np.ndindex(activation.shape)
        value, place = max(((activation[p], p) for p in positions), key=lambda pair: pair[0])
        if value > 0:
            found.append((float(value), image, *place))
    return sorted(found, key=lambda one: (-one[0], one[1]))[:STRONGEST]


@given(activations=ACTIVATIONS, batch=st.integers(1, 7))
def test_they_are_those_of_a_brute_force_search(activations, batch):
    strongest = StrongestActivations(activations.shape[1])
    for start in range(0, len(activations), batch):
        strongest.update(activations[start : start + batch])
    assert strongest.images == len(activations)
    for number, found in enumerate(strongest.found()):
        shown = [(m.value, m.image, m.row, m.column) for m in found.maxima]
        assert shown == brute_force(activations, number)
        assert found.fires == sum((activations[:, number] > 0).any(axis=(1, 2)))
        assert all(m.filter == number for m in found.maxima)


def test_layers_without_positions():
    strongest = StrongestActivations(2)
    strongest.update(np.array([[1, -1], [3, 0]], np.float32))
    first, second = strongest.found()
    assert [(m.image, m.row, m.column, m.value) for m in first.maxima] == [
        (1, 0, 0, 3.0),
        (0, 0, 0, 1.0),
    ]
    assert second.is_dead
    assert second.strength == 0


def test_memory_does_not_grow():
    strongest = StrongestActivations(4)
    random = np.random.default_rng(0)

    def size():
        return sum(v.nbytes for v in vars(strongest).values() if isinstance(v, np.ndarray))

    strongest.update(random.random((1, 4, 2, 2), np.float32))
    before = size()
    for _ in range(50):
        strongest.update(random.random((20, 4, 2, 2), np.float32))
    assert size() == before


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_filter_that_never_fires_is_dead(value):
    strongest = StrongestActivations(1)
    strongest.update(np.full((20, 1, 3, 3), value, np.float32))
    (found,) = strongest.found()
    assert found.is_dead
    assert found.maxima == ()
