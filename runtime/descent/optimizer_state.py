"""The state of an optimiser between steps: float32 arrays by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeAlias

import cv2

from nstbatch.runtime import scratch
from nstbatch.runtime.arrays import Array, Shape

State: TypeAlias = dict[str, Array]


class Moved(Protocol):
    """Images that an optimiser has moved."""

    @property
    def images(self) -> Array:
        """The current images, (N, 3, H, W)."""

    @property
    def state(self) -> State:
        """The optimiser's state."""


def zeros(shapes: Mapping[str, Shape]) -> State:
    """Return a state of zeros."""
    return {name: scratch.zeros(shape) for name, shape in shapes.items()}


def resized(pictures: Array, size: tuple[int, int], method: int = cv2.INTER_LINEAR) -> Array:
    """(N, C, H, W) -> (N, C, *size), of any values; ``method`` is an OpenCV interpolation."""
    large = scratch.zeros((*pictures.shape[:2], *size))
    planes = zip(pictures.reshape(-1, *pictures.shape[2:]), large.reshape(-1, *size), strict=True)
    for plane, large_plane in planes:
        cv2.resize(plane, size[::-1], dst=large_plane, interpolation=method)
    return large
