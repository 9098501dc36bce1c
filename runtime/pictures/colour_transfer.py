"""Gives a picture the colours of another by a linear map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nstbatch.runtime.arrays import Array

# Added to variances, so that a picture of few colours has an inverse: a tenth of a level of 255.
_NOISE = (0.1 / 255) ** 2


def recolored(pixels: Array, reference: Array) -> Array:
    """Give a picture the mean and the covariance of the colours of a reference.

    Of the linear maps that do so, this is the one that changes colours least, the linear
    Monge-Kantorovitch map (Pitie & Kokaram 2007).

    Args:
        pixels: (H, W, 3), in [0, 1].
        reference: (H', W', 3), of any size, in [0, 1].

    Returns:
        (H, W, 3) float32, clipped to [0, 1].
    """
    mean, covariance = _statistics(pixels)
    wanted_mean, wanted = _statistics(reference)
    root = _root(covariance)
    inverse = np.linalg.inv(root)
    colour_map = inverse @ _root(root @ wanted @ root) @ inverse
    colours = (pixels.reshape(-1, 3) - mean) @ colour_map + wanted_mean
    return np.clip(colours, 0, 1).reshape(pixels.shape).astype(np.float32)


def _statistics(pixels: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean (3) and the covariance (3, 3) of the colours."""
    colours = pixels.reshape(-1, 3).astype(np.float64)
    covariance = np.cov(colours, rowvar=False, bias=True)
    return colours.mean(axis=0), covariance + _NOISE * np.eye(3)


def _root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The square root of a symmetric positive matrix."""
    values, vectors = np.linalg.eigh(matrix)
    root: NDArray[np.float64] = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return root
