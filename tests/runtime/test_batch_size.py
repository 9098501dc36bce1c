"""Batches that fit."""

import pytest

from nstbatch.runtime.batch_size import OVERHEAD, largest_batch


@pytest.mark.parametrize(
    ("free", "most", "batch"),
    [(0, 16, 1), (100, 16, 1), (299, 16, 1), (300, 16, 2), (10**6, 16, 16)],
)
def test_a_batch_fits(free, most, batch):
    assert OVERHEAD == 1.5
    assert largest_batch(100, free, most) == batch
