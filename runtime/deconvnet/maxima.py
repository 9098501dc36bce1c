"""The strongest activations of every filter of a layer, over images that come one after another.

Only the maxima found so far are kept, so memory does not grow with the number of images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nstbatch.runtime.arrays import Array

from .options import STRONGEST


@dataclass(frozen=True)
class Maximum:
    """Where one of the strongest activations of a filter was found."""

    filter: int
    """The channel of the layer."""
    image: int
    """Which of the images, from 0 on."""
    row: int
    column: int
    value: float


@dataclass(frozen=True)
class FilterMaxima:
    """What a filter responds to most."""

    filter: int
    fires: int
    """In how many of the images it has a positive activation somewhere."""
    maxima: tuple[Maximum, ...]
    """From the strongest on, one for each image; positive ones alone."""

    @property
    def is_dead(self) -> bool:
        """Whether it fires nowhere in these images."""
        return self.fires == 0

    @property
    def strength(self) -> float:
        """The strongest activation; 0 of a dead filter."""
        return self.maxima[0].value if self.maxima else 0.0


class StrongestActivations:
    """Keeps the nine strongest activations of every filter, no two of them of one image.

    Of equal ones the first image's is kept, and within an image the first in its rows.
    """

    def __init__(self, filters: int) -> None:
        """Start without any image."""
        self._values = np.full((filters, STRONGEST), -np.inf, np.float32)
        self._images = np.zeros((filters, STRONGEST), np.int64)
        self._positions = np.zeros((filters, STRONGEST), np.int64)
        self._fires = np.zeros(filters, np.int64)
        self._columns = 1
        self.images = 0
        """How many were seen."""

    def update(self, activation: Array) -> None:
        """Take in the activations of the next images, (N, C, H, W) or (N, C)."""
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
        # Stable: of equal values those of earlier images, which are further left, stay in front.
        order = np.argsort(-values, axis=1, kind="stable")[:, :STRONGEST]
        self._values = np.take_along_axis(values, order, axis=1)
        self._images = np.take_along_axis(np.hstack([self._images, images]), order, axis=1)
        self._positions = np.take_along_axis(np.hstack([self._positions, positions]), order, axis=1)

    def found(self) -> tuple[FilterMaxima, ...]:
        """What every filter responds to most, by its number."""
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
