"""Histogram matching: a picture's colours brought to those of another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nstbatch.runtime.arrays import Array


def match_histogram(pixels: Array, reference: Array) -> Array:
    """Give a picture the colours of a reference.

    First along the principal axes of the reference's colours (Heeger & Bergen 1995), then in each
    channel (Gatys, Ecker & Bethge's code). The channels alone would leave a grey reference with a
    coloured picture, as each of them has its grey histogram while a pixel's three differ.

    Args:
        pixels: (H, W, 3).
        reference: (H', W', 3), of any size.

    Returns:
        (H, W, 3) float32. The histogram of each channel is the reference's, but for pixels that
        are equal: they stay so.
    """
    wanted = reference.reshape(-1, 3).astype(np.float64)
    _, axes = np.linalg.eigh(np.cov(wanted, rowvar=False))
    turned = _matched(pixels.reshape(-1, 3) @ axes, wanted @ axes)
    # In float32, so that what is equal but for the rounding of the turns is equal again.
    colours = (turned @ axes.T).astype(np.float32)
    return _matched(colours, wanted).reshape(pixels.shape).astype(np.float32)


def _matched(colours: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """(P, 3) with the distribution that ``wanted`` (Q, 3) has in each column by itself."""
    columns = zip(colours.T, wanted.T, strict=True)
    return np.stack([_matched_column(values, reference) for values, reference in columns], axis=1)


def _matched_column(
    values: NDArray[np.float64], reference: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Each value becomes the reference's value at the same quantile.

    Equal values take the quantile in their middle, so that a flat area, such as one that is clipped
    to black, stays flat.
    """
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    quantiles = (np.cumsum(counts) - counts / 2) / values.size
    known = (np.arange(reference.size) + 0.5) / reference.size
    return np.asarray(np.interp(quantiles, known, np.sort(reference))[places])
