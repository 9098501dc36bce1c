"""What an optimiser remembers between steps: float32 arrays by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Shape: TypeAlias = tuple[int, ...]
ImageShape: TypeAlias = tuple[int, int, int, int]
State: TypeAlias = dict[str, NDArray[np.float32]]


def zeros(shapes: Mapping[str, Shape]) -> State:
    """Return a state of zeros."""
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
