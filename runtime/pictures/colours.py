"""Colours of pictures: luminance and chroma, and giving a picture those of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nstbatch.runtime import scratch
from nstbatch.runtime.arrays import Array

# Added to variances, so that a picture of few colours has an inverse: a tenth of a level of 255.
_NOISE = (0.1 / 255) ** 2

# Pixels to compute in double precision at a time, 6 MB.
_PIECE = 2**18

# Weights of red, green and blue in the luminance: ITU-R BT.601, the Y of YUV and YIQ.
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


def luminance(pixels: Array) -> Array:
    """Return the luminance of a picture: (H, W, 3) -> (H, W), both in [0, 1]."""
    return np.asarray(pixels @ _LUMINANCE, dtype=np.float32)


def grey(pixels: Array) -> Array:
    """Return a picture without colours: (H, W, 3) with equal channels, its luminance."""
    return np.repeat(luminance(pixels)[..., None], 3, axis=2)


def with_luminance(pixels: Array, values: Array) -> Array:
    """Return a picture with another luminance, and the chroma that it has.

    The differences between channels stay as they are. A luminance at which a channel would be below
    0 or above 1 gives way, not the chroma.

    Args:
        pixels: (H, W, 3), in [0, 1].
        values: (H, W), in [0, 1].
    """
    found = scratch.zeros(pixels.shape)
    for row, light, new in zip(pixels, values, found, strict=True):
        chroma = row - luminance(row)[:, None]
        within = np.clip(light, -chroma.min(axis=1), 1 - chroma.max(axis=1))
        new[...] = np.clip(within[:, None] + chroma, 0, 1)
    return found


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


def pooled(pictures: Sequence[Array], weights: Sequence[float]) -> Array:
    """The colours of several pictures (H, W, 3) in one, by weight: (P, 1, 3), or the only picture.

    It has as many pixels as the first picture, each chosen at random from the picture of its share.
    """
    if len(pictures) == 1:
        return pictures[0]
    random = np.random.default_rng(0)
    pixels = pictures[0].shape[0] * pictures[0].shape[1]
    shares = [max(1, round(pixels * weight / sum(weights))) for weight in weights]
    chosen = [
        random.choice(picture.reshape(-1, 3), share)
        for picture, share in zip(pictures, shares, strict=True)
    ]
    return np.concatenate(chosen)[:, None]


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
    found = scratch.zeros(pixels.shape)
    for piece, new in zip(_pieces(pixels), _pieces(found), strict=True):
        new[...] = np.clip((piece - mean) @ colour_map + wanted_mean, 0, 1)
    return found


def _pieces(pixels: Array) -> list[Array]:
    """Views of (H, W, 3) as (n, 3): copies of large pictures in double precision take memory."""
    colours = pixels.reshape(-1, 3)
    return [colours[start : start + _PIECE] for start in range(0, len(colours), _PIECE)]


def _statistics(pixels: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean (3) and the covariance (3, 3) of the colours."""
    mean = pixels.mean(axis=(0, 1), dtype=np.float64)
    squares = sum((piece - mean).T @ (piece - mean) for piece in _pieces(pixels))
    return mean, squares / (pixels.shape[0] * pixels.shape[1]) + _NOISE * np.eye(3)


def _root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The square root of a symmetric positive matrix."""
    values, vectors = np.linalg.eigh(matrix)
    root: NDArray[np.float64] = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return root
