"""The strongest activations of every filter of a layer, over a stream of images.

Only the maxima found so far are kept, so memory does not grow with the number of images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nstbatch.runtime.arrays import Array

from .deconvnet_options import STRONGEST


@dataclass(frozen=True)
class Maximum:
    """The position and value of one of the strongest activations of a filter."""

    filter: int
    """Channel of the layer."""
    image: int
    """Index of the image, from 0."""
    row: int
    column: int
    value: float


@dataclass(frozen=True)
class FilterMaxima:
    """The strongest activations of a filter."""

    filter: int
    fires: int
    """Number of images in which it has a positive activation."""
    maxima: tuple[Maximum, ...]
    """The strongest first, one per image, only positive ones."""

    @property
    def is_dead(self) -> bool:
        """True if it fires in none of the images."""
        return self.fires == 0

    @property
    def strength(self) -> float:
        """The strongest activation; 0 for a dead filter."""
        return self.maxima[0].value if self.maxima else 0.0


class StrongestActivations:
    """Keeps the nine strongest activations of every filter, at most one per image.

    Of equal ones, the one of the first image is kept, and within an image the first in row order.
    """

    def __init__(self, filters: int) -> None:
        """Start without any image."""
        self._values = np.full((filters, STRONGEST), -np.inf, np.float32)
        self._images = np.zeros((filters, STRONGEST), np.int64)
        self._positions = np.zeros((filters, STRONGEST), np.int64)
        self._fires = np.zeros(filters, np.int64)
        self._columns = 1
        self.images = 0
        """Number of images so far."""

    def update(self, activation: Array) -> None:
        """Add the activations of the next images, (N, C, H, W) or (N, C)."""
        count, filters = activation.shape[:2]
        flat = activation.reshape(count, filters, -1)
        positions = flat.argmax(axis=2)  # the first of equal ones
        values = np.take_along_axis(flat, positions[..., None], axis=2)[..., 0]
        self._fires += (values > 0).sum(axis=0)
        self._columns = activation.shape[3] if activation.ndim == 4 else 1
        numbers = np.arange(self.images, self.images + count)
        self._keep_strongest(values.T, np.tile(numbers, (filters, 1)), positions.T)
        self.images += count

    def _keep_strongest(
        self, values: Array, images: NDArray[np.int64], positions: NDArray[np.int64]
    ) -> None:
        values = np.hstack([self._values, values])
        # Stable: among equal values, those of earlier images, which are further left, stay first.
        order = np.argsort(-values, axis=1, kind="stable")[:, :STRONGEST]
        self._values = np.take_along_axis(values, order, axis=1)
        self._images = np.take_along_axis(np.hstack([self._images, images]), order, axis=1)
        self._positions = np.take_along_axis(np.hstack([self._positions, positions]), order, axis=1)

    def found(self) -> tuple[FilterMaxima, ...]:
        """Return the maxima of every filter, by its number."""
        return tuple(
            FilterMaxima(number, int(fires), self._maxima(number))
            for number, fires in enumerate(self._fires)
        )

    def _maxima(self, number: int) -> tuple[Maximum, ...]:
        return tuple(
            Maximum(number, int(image), *divmod(int(position), self._columns), float(value))
            for image, position, value in zip(
                self._images[number], self._positions[number], self._values[number], strict=True
            )
            if value > 0
        )
