"""Large arrays lie in files without names, small ones in memory."""

import mmap

import numpy as np
import pytest

from nstbatch.runtime import scratch

LARGE = (2, scratch.LEAST_BYTES // 8)


@pytest.fixture
def folder(tmp_path):
    scratch.keep_in(tmp_path)
    yield tmp_path
    scratch.keep_in(None)


def mapping(array):
    """The mapped file that an array lies in; None if it lies in memory."""
    while isinstance(array, np.ndarray):
        array = array.base
    return array


def test_large_arrays_lie_in_files_without_names(folder):
    values = scratch.zeros(LARGE)
    assert isinstance(mapping(values), mmap.mmap)
    assert (type(values), values.dtype, values.sum()) == (np.ndarray, np.float32, 0)
    values[1, 5] = 2
    copy = scratch.copied(values.T)
    assert (copy[5, 1], copy.flags.c_contiguous) == (2, True)
    assert isinstance(mapping(copy), mmap.mmap)
    assert list(folder.iterdir()) == []


def test_small_arrays_lie_in_memory(folder):
    assert mapping(scratch.zeros((3, 4))) is None


def test_without_a_folder_all_lie_in_memory():
    assert mapping(scratch.zeros(LARGE)) is None
    assert not scratch.is_in_use()


def test_a_folder_that_is_gone_is_an_error(folder):
    folder.rmdir()
    with pytest.raises(OSError, match="No such file"):
        scratch.zeros(LARGE)
