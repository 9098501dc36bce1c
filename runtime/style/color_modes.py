"""The colours of a painted photo: what is done to the pictures before and after the run.

Gatys, Bethge, Hertzmann & Shechtman 2016, "Preserving Color in Neural Artistic Style Transfer".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.pictures.colours import (
    grey,
    luminance,
    match_histogram,
    recolored,
    with_luminance,
)
from nstbatch.runtime.pictures.sizes import resize

from .paintings import Painting
from .shared_style_options import ColorMode

_GREYS: tuple[ColorMode, ...] = ("luminance", "grey")
_PHOTOS_CHROMA: tuple[ColorMode, ...] = ("photo", "luminance")


def before_run(mode: ColorMode, pixels: Array) -> Array:
    """Return the photo, or the picture to start from, as the run sees it, (H, W, 3)."""
    return grey(pixels) if mode in _GREYS else pixels


def paintings_before_run(
    mode: ColorMode, paintings: Sequence[Painting], photo: Array
) -> list[Painting]:
    """Return the paintings as the run sees them.

    Args:
        mode: The colours of the result.
        paintings: The paintings.
        photo: (H, W, 3) in its own colours.
    """
    return [replace(each, pixels=_painting(mode, each.pixels, photo)) for each in paintings]


def after_run(mode: ColorMode, image: Array, photo: Array) -> Array:
    """Return the result of a run in its final colours.

    Args:
        mode: The colours.
        image: (H, W, 3), the result of the run.
        photo: (H', W', 3) in its own colours, of any size.
    """
    if mode == "grey":
        return grey(image)
    if mode in _PHOTOS_CHROMA:
        return with_luminance(resize(photo, (image.shape[0], image.shape[1])), luminance(image))
    return image


def _painting(mode: ColorMode, painting: Array, photo: Array) -> Array:
    if mode == "histogram":
        return np.clip(match_histogram(painting, photo), 0, 1)
    if mode == "covariance":
        return recolored(painting, photo)
    if mode == "luminance":
        return _matched(grey(painting), grey(photo))
    return grey(painting) if mode == "grey" else painting


def _matched(painting: Array, photo: Array) -> Array:
    """The painting with the mean and deviation of the photo, both grey."""
    deviation = max(float(painting.std()), 1e-6)  # of a flat painting
    scaled = (painting - painting.mean()) * (float(photo.std()) / deviation) + photo.mean()
    return np.asarray(np.clip(scaled, 0, 1), dtype=np.float32)
