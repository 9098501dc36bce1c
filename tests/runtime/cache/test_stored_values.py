"""What was computed once comes back as it was, in this process or another."""

import numpy as np
import pytest

from nstbatch.runtime.cache.cache import current_cache
from nstbatch.runtime.cache.cache_key import cache_key
from nstbatch.runtime.cache.stored_values import stored_arrays, stored_fact


@pytest.fixture
def calls(tmp_path, monkeypatch):
    monkeypatch.setenv("NSTBATCH_CACHE", str(tmp_path))
    return []


def counted(calls, value):
    def find():
        calls.append(value)
        return value

    return find


def test_a_fact_is_found_once(calls):
    for _ in range(2):
        assert stored_fact(("relu1", 3), counted(calls, {"relu1": 7})) == {"relu1": 7}
    assert stored_fact(("relu2", 3), counted(calls, {"relu2": 9})) == {"relu2": 9}
    assert len(calls) == 2


def test_arrays_are_computed_once_and_come_back_to_the_bit(calls):
    arrays = {
        "target/style/relu1_1": np.random.default_rng(0).random((1, 8, 8), dtype=np.float32),
        "target/empty": np.zeros((0, 3), np.float32),
    }
    first, again = (stored_arrays(("painting",), counted(calls, arrays)) for _ in range(2))
    assert len(calls) == 1
    for found in (first, again):
        assert list(found) == list(arrays)
        for name, array in arrays.items():
            assert found[name].dtype == np.float32
            np.testing.assert_array_equal(found[name], array)


def test_without_a_cache_everything_is_found_anew(calls, monkeypatch):
    monkeypatch.setenv("NSTBATCH_CACHE", "off")
    for _ in range(2):
        assert stored_fact(("relu1",), counted(calls, 7)) == 7
    assert calls == [7, 7]


@pytest.mark.parametrize("nonsense", [b"", b"\xff", b"PK\x03\x04 no archive", b"{"])
def test_an_entry_that_is_something_else_is_found_anew(calls, nonsense):
    for kind, stored, value in (
        ("fact", stored_fact, 7),
        ("arrays", stored_arrays, {"a": np.ones(2, np.float32)}),
    ):
        current_cache().write(cache_key(kind, "relu1"), nonsense)
        for _ in range(2):
            np.testing.assert_equal(stored(("relu1",), counted(calls, value)), value)
    assert len(calls) == 2
