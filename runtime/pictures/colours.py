"""Changes the colours of pictures.

So far this is histogram matching, which gives a picture the colours of another.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nstbatch.runtime.arrays import Array


def match_histogram(pixels: Array, reference: Array) -> Array:
    """Give a picture the colours of a reference.

    Histograms are matched along the principal axes of the reference's colours (Heeger & Bergen
    1995), then in each channel (Gatys, Ecker & Bethge's code). Matching the channels alone would
    keep a picture coloured even if the reference is grey: each channel then has the grey histogram,
    but the three values of a pixel still differ.

    Args:
        pixels: (H, W, 3).
        reference: (H', W', 3), of any size.

    Returns:
        (H, W, 3) float32. The histogram of each channel is the reference's, except that pixels
        which were equal stay equal.
    """
    wanted = reference.reshape(-1, 3).astype(np.float64)
    _, axes = np.linalg.eigh(np.cov(wanted, rowvar=False))
    rotated = _matched(pixels.reshape(-1, 3) @ axes, wanted @ axes)
    # In float32, so that values which differ only by the rounding of the rotations are equal again.
    colours = (rotated @ axes.T).astype(np.float32)
    return _matched(colours, wanted).reshape(pixels.shape).astype(np.float32)


def _matched(colours: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Colours (P, 3), changed so that each column has the distribution of that of ``wanted``."""
    columns = zip(colours.T, wanted.T, strict=True)
    return np.stack([_matched_column(values, reference) for values, reference in columns], axis=1)


def _matched_column(
    values: NDArray[np.float64], reference: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Replace each value with the reference's value at the same quantile.

    Equal values take the quantile in their middle, so a flat area, such as one clipped to black,
    stays flat.
    """
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    quantiles = (np.cumsum(counts) - counts / 2) / values.size
    known = (np.arange(reference.size) + 0.5) / reference.size
    return np.asarray(np.interp(quantiles, known, np.sort(reference))[places])
