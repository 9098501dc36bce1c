"""What was costly to make, kept for the next one who wants the same."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """The latest few of a kind, by their keys. Several threads may ask; each thing is made once."""

    def __init__(self, most: int) -> None:
        """Nothing is kept yet.

        Args:
            most: How many there may be.
        """
        self._most = most
        self._things: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = threading.RLock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is kept under a key, or a new one in place of the one unused the longest."""
        with self._lock:
            if key not in self._things:
                while len(self._things) >= self._most:  # before: both may not fit into memory
                    self._things.popitem(last=False)
                self._things[key] = make()
            self._things.move_to_end(key)
            return self._things[key]

    def __len__(self) -> int:
        """How many there are."""
        return len(self._things)

    def clear(self) -> None:
        """Keep nothing any more."""
        with self._lock:
            self._things.clear()
