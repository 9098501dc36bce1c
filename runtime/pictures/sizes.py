"""Sizes and layouts of pictures in arrays: resizing, and conversion to batches and back."""

from __future__ import annotations

import cv2
import numpy as np

from nstbatch.runtime import scratch
from nstbatch.runtime.arrays import Array
from nstbatch.runtime.checks import OWN, Own


def resize(pixels: Array, size: tuple[int, int]) -> Array:
    """Resize to (height, width): area averages to shrink, bicubic to enlarge, clipped to [0, 1].

    Each axis is treated on its own, so a picture that becomes taller and narrower is antialiased
    as well.

    Args:
        pixels: (H, W, C), or (H, W) for an alpha, in [0, 1].
        size: The new height and width, both at least 1.
    """
    height, width = size
    shrunk = (min(width, pixels.shape[1]), min(height, pixels.shape[0]))
    small = cv2.resize(np.ascontiguousarray(pixels), shrunk, interpolation=cv2.INTER_AREA)
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    # cv2 drops a channel axis of length one.
    clipped = np.clip(large, 0, 1, out=large).astype(np.float32, copy=False)
    return clipped.reshape(height, width, *pixels.shape[2:])


def fit_long_side(height: int, width: int, size: int) -> tuple[int, int]:
    """The (height, width) of the same proportions whose long side is ``size``, each at least 1."""
    long_side = max(height, width)
    return max(1, round(height * size / long_side)), max(1, round(width * size / long_side))


def long_side(height: int, width: int, size: int | Own, max_size: int | None = None) -> int:
    """Return the long side that options ask for, in pixels.

    Args:
        height: Height of the original picture.
        width: Its width.
        size: Long side to resize it to, or "own" to leave it.
        max_size: Upper bound, with which no picture is enlarged either; None for no bound.
    """
    own = max(height, width)
    wanted = own if size == OWN else size
    return wanted if max_size is None else min(wanted, own, max_size)


def resized_shape(
    height: int, width: int, size: int | Own, max_size: int | None = None
) -> tuple[int, int]:
    """Return the (height, width) of the same proportions; see :func:`long_side`."""
    return fit_long_side(height, width, long_side(height, width, size, max_size))


def to_nchw(pixels: Array) -> Array:
    """(H, W, 3) -> a contiguous batch of one, (1, 3, H, W)."""
    return scratch.copied(pixels.transpose(2, 0, 1)[None])


def from_nchw(image: Array) -> Array:
    """A batch of one, (1, 3, H, W) -> a contiguous (H, W, 3).

    Raises:
        ValueError: The batch does not hold exactly one image.
    """
    if image.shape[0] != 1:
        raise ValueError(f"Expected one image, got a batch of {image.shape[0]}.")
    return np.ascontiguousarray(image[0].transpose(1, 2, 0))


def resize_batch(images: Array, size: tuple[int, int]) -> Array:
    """(N, 3, H, W) in [0, 1] -> (N, 3, *size); see :func:`resize`."""
    large = scratch.zeros((*images.shape[:2], *size))
    for image, resized in zip(images, large, strict=True):
        resized[...] = resize(image.transpose(1, 2, 0), size).transpose(2, 0, 1)
    return large


def resize_tile(images: Array, size: tuple[int, int]) -> Array:
    """(N, C, H, W) -> (N, C, *size): resize between copies of itself, along either axis.

    Alone, a tile would be continued by its outermost pixels, and show a seam.
    """
    height, width = size
    tall = resize_batch(np.tile(images, (1, 1, 3, 1)), (3 * height, images.shape[3]))
    tall = tall[:, :, height : 2 * height]
    wide = resize_batch(np.tile(tall, (1, 1, 1, 3)), (height, 3 * width))
    return np.ascontiguousarray(wide[:, :, :, width : 2 * width])
