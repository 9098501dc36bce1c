"""The steps after a run: colours matched to the style's, fine detail added, final colours."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from nstbatch.runtime import scratch
from nstbatch.runtime.arrays import Array
from nstbatch.runtime.pictures.colours import match_histogram

from .color_modes import after_run
from .paintings import Painting, palette
from .shared_style_options import SharedStyleOptions

# Pixels: the standard deviation of the blur that an unsharp mask takes away. A guess.
_FINE = 1.0


def finished(
    options: SharedStyleOptions, image: Array, paintings: Sequence[Painting], photo: Array
) -> Array:
    """Return the final picture, (H, W, 3) in [0, 1].

    Args:
        options: The options: histogram, sharpen and color.
        image: (H, W, 3), the result of the run.
        paintings: The paintings as the run saw them.
        photo: (H', W', 3) in its own colours.
    """
    if options.histogram:
        image = np.clip(match_histogram(image, palette(paintings)), 0, 1)
    if options.sharpen > 0:
        image = sharpened(image, options.sharpen)
    return after_run(options.color, image, photo)


def sharpened(image: Array, amount: float) -> Array:
    """Add what a blur takes away, times an amount: an unsharp mask."""
    image, found = scratch.contiguous(image), scratch.zeros(image.shape)
    cv2.GaussianBlur(image, (0, 0), _FINE, dst=found, borderType=cv2.BORDER_REFLECT)
    for row, new in zip(image, found, strict=True):
        new[...] = np.clip(row + np.float32(amount) * (row - new), 0, 1)
    return found
