"""The search for nearest neighbours, compared with all distances at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nstbatch.runtime.engine import nearest as module
from nstbatch.runtime.engine.engine import Engine


@pytest.fixture(scope="module")
def engine():
    return Engine("alexnet", device="cpu", threads=1)


def columns(depth, count, seed):
    return np.random.default_rng(seed).random((depth, count), dtype=np.float32)


def brute_force(queries, candidates):
    """The centred cosine of every pair, in float64, and the largest for each query."""
    q, c = (each.astype(np.float64) - each.mean(1, keepdims=True) for each in (queries, candidates))
    cosines = (q / np.linalg.norm(q, axis=0)).T @ (c / np.linalg.norm(c, axis=0))
    return cosines.argmax(1)


@given(
    queries=st.integers(2, 40), candidates=st.integers(2, 30), tile=st.sampled_from([1, 90, 2000])
)
@settings(max_examples=12, deadline=None)
def test_it_finds_what_brute_force_finds_in_tiles_of_any_size(engine, queries, candidates, tile):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TILE", tile)
        sought, among = columns(16, queries, 0), columns(16, candidates, 1)
        found = engine.nearest(sought, among)
    np.testing.assert_array_equal(found, brute_force(sought, among))


def test_each_candidate_finds_itself(engine):
    among = columns(32, 50, 2)
    np.testing.assert_array_equal(engine.nearest(among, among), np.arange(50))


def test_a_candidate_that_equals_the_mean_is_no_error(engine):
    among = np.ones((4, 3), np.float32)
    assert engine.nearest(columns(4, 5, 3), among).tolist() == [0] * 5
