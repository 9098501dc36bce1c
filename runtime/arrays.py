"""The array and shape types of the whole project. Imports numpy and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float32]
Shape: TypeAlias = tuple[int, ...]
ImageShape: TypeAlias = tuple[int, int, int, int]
"""(N, 3, H, W)."""
Shapes: TypeAlias = Mapping[str, Shape]
"""The shapes of a graph's inputs or outputs, by name."""
