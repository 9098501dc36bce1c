"""A small thread-safe LRU cache, for values that are costly to make."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import numpy as np

from nstbatch.runtime.arrays import Array, Shape

T = TypeVar("T")


def key_of(values: Array) -> tuple[bytes, Shape]:
    """Return a key by the content of an array; makes no copy of a contiguous one."""
    return hashlib.sha256(np.ascontiguousarray(values).data).digest(), values.shape


class LruCache(Generic[T]):
    """Keeps the values used most recently, by their keys; threads that share it make each once."""

    def __init__(self, most: int) -> None:
        """Start empty.

        Args:
            most: Largest number of values to keep.
        """
        self._most = most
        self._values: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = threading.RLock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the value of a key; make it if it is missing, in place of the least recent one."""
        with self._lock:
            if key not in self._values:
                while len(self._values) >= self._most:  # first: both may not fit into memory
                    self._values.popitem(last=False)
                self._values[key] = make()
            self._values.move_to_end(key)
            return self._values[key]

    def __len__(self) -> int:
        """Return the number of values."""
        return len(self._values)

    def clear(self) -> None:
        """Drop all values."""
        with self._lock:
            self._values.clear()
