"""Computed values that never change for the same inputs, stored in the :mod:`.cache`."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .cache import current_cache
from .cache_key import cache_key

Found = TypeVar("Found")


def stored_fact(about: tuple[Any, ...], find: Callable[[], Found]) -> Found:
    """Return a stored fact, or find and store it now.

    Args:
        about: Everything that it depends on; see :func:`.cache_key.cache_key`.
        find: Finds it; the result must survive a round trip through JSON unchanged.
    """
    fact: Found = _stored("fact", about, find, _to_json, json.loads)
    return fact


def stored_arrays(
    about: tuple[Any, ...], compute: Callable[[], Mapping[str, NDArray[np.float32]]]
) -> Mapping[str, NDArray[np.float32]]:
    """Return stored arrays by name, or compute and store them now.

    Args:
        about: Everything that they depend on; see :func:`.cache_key.cache_key`.
        compute: Computes them.
    """
    return _stored("arrays", about, compute, _to_npz, _from_npz)


def _stored(
    kind: str,
    about: tuple[Any, ...],
    find: Callable[[], Found],
    write: Callable[[Found], bytes],
    read: Callable[[bytes], Found],
) -> Found:
    cache, key = current_cache(), cache_key(kind, *about)
    if cache is None or key is None:
        return find()
    data = cache.read(key)
    if data is not None:
        with suppress(ValueError, EOFError, zipfile.BadZipFile):  # not written by this program
            return read(data)
    found = find()
    cache.write(key, write(found))
    return found


def _to_json(fact: Any) -> bytes:
    return json.dumps(fact).encode()


def _to_npz(arrays: Mapping[str, NDArray[np.float32]]) -> bytes:
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def _from_npz(data: bytes) -> dict[str, NDArray[np.float32]]:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return dict(arrays)
