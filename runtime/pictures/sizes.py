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
    shrunk = (min(size[0], pixels.shape[0]), min(size[1], pixels.shape[1]))
    small = _resized(scratch.contiguous(pixels), shrunk, cv2.INTER_AREA)
    large = _resized(small, size, cv2.INTER_CUBIC)
    if large is pixels:
        large = scratch.copied(pixels)
    return np.clip(large, 0, 1, out=large)


def _resized(pixels: Array, size: tuple[int, int], method: int) -> Array:
    """Resize contiguous float32 pixels by one of OpenCV's methods; the same ones if they fit."""
    if pixels.shape[:2] == size:
        return pixels
    found = scratch.zeros((*size, *pixels.shape[2:]))
    cv2.resize(pixels, size[::-1], dst=found, interpolation=method)
    return found


def mirrored(pixels: Array, margin: int) -> Array:
    """Continue (H, W, 3) beyond each edge: (H + 2 margin, W + 2 margin, 3)."""
    height, width, channels = pixels.shape
    found = scratch.zeros((height + 2 * margin, width + 2 * margin, channels))
    sides, values = (margin,) * 4, scratch.contiguous(pixels)
    cv2.copyMakeBorder(values, *sides, cv2.BORDER_REFLECT, dst=found)
    return found


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
    return scratch.contiguous(image[0].transpose(1, 2, 0))


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
