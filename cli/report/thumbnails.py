"""Thumbnails as ``data:`` URIs, to be part of a page."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nstbatch.runtime.errors import ImageError

if TYPE_CHECKING:
    from nstbatch.runtime.arrays import Array
    from nstbatch.runtime.pictures.images import Picture

# Characters for all thumbnails of a page. With it, a page of 1,000 pictures, each before and after,
# stays under 30 MB.
PAGE_BUDGET = 24_000_000

# Limits of the characters for one thumbnail. MOST is enough for 640 pixels of a painted picture at
# quality 80, measured on docs/images/chelsea_starry_night.jpg. LEAST gives about 200 pixels, a
# guess at the smallest useful size; with more than 2,000 pictures a page grows beyond the budget.
MOST, LEAST = 80_000, 6_000

LONGEST_SIDE = 640

# JPEG qualities to try in turn. Below 40, its blocks look worse than fewer pixels (by eye).
QUALITIES = (80, 60, 40)
SAVING = 2  # size at the first quality over that at the last; measured on the same example
MOST_OF_A_SIDE = 0.85  # the next side to try is at most this part of the last one; a guess
SMALLEST_SIDE = 96  # ends the search: a thumbnail of this side is used at any size


@dataclass(frozen=True)
class Thumbnail:
    """A small picture, and its size in pixels."""

    uri: str
    width: int
    height: int


def budget(pictures: int) -> int:
    """Return the largest number of characters for each thumbnail on a page of ``pictures``."""
    return max(LEAST, min(MOST, PAGE_BUDGET // max(1, 2 * pictures)))


def thumbnail(path: Path, budget: int = MOST) -> Thumbnail | None:
    """Make a thumbnail of a picture; return None if the file is missing or cannot be read.

    Args:
        path: A picture in any format that can be read.
        budget: Largest number of characters of the URI.
    """
    try:
        picture = _read(path)
    except (ImageError, MemoryError, ValueError):  # ValueError: no file can have this name
        return None
    return _within(picture, budget)


def thumbnail_of(pixels: Array) -> Thumbnail:
    """Make a thumbnail of a picture (H, W, 3), RGB in [0, 1]."""
    from nstbatch.runtime.pictures.images import Picture

    picture = Picture(pixels)
    return _within(_resized(picture, min(LONGEST_SIDE, max(pixels.shape[:2]))), MOST)


def _within(picture: Picture, budget: int) -> Thumbnail:
    """Make a thumbnail of a small picture, of at most this many characters if possible."""
    side = max(picture.pixels.shape[:2])
    while True:
        small = _resized(picture, side)
        height, width = small.pixels.shape[:2]
        for quality in QUALITIES:
            uri = _uri(small, quality)
            excess = len(uri) / budget
            if excess <= 1:
                return Thumbnail(uri, width, height)
            if excess > SAVING:
                break
        if side <= SMALLEST_SIDE:
            return Thumbnail(uri, width, height)
        side = max(SMALLEST_SIDE, int(side * min(MOST_OF_A_SIDE, math.sqrt(SAVING / excess))))


def _read(path: Path) -> Picture:
    """Read a picture, and keep only a small copy of it, since many threads make thumbnails."""
    from nstbatch.runtime.pictures import images

    picture = images.read(path, at_least=LONGEST_SIDE)
    return _resized(picture, min(LONGEST_SIDE, max(picture.pixels.shape[:2])))


def _resized(picture: Picture, side: int) -> Picture:
    from nstbatch.runtime.pictures.images import Picture
    from nstbatch.runtime.pictures.sizes import fit_long_side, resize

    height, width = picture.pixels.shape[:2]
    size = fit_long_side(height, width, side)
    alpha = None if picture.alpha is None else resize(picture.alpha, size)
    return Picture(resize(picture.pixels, size), alpha)


def _uri(picture: Picture, quality: int) -> str:
    """Encode as JPEG, ten times as fast as WebP and as small on brush strokes; with alpha, WebP."""
    import numpy as np
    from PIL import Image

    samples, kind = picture.pixels, "JPEG"
    if picture.alpha is not None:
        samples, kind = np.dstack([samples, picture.alpha]), "WEBP"
    buffer = io.BytesIO()
    levels = np.rint(samples * 255).astype(np.uint8)
    Image.fromarray(levels).save(buffer, kind, quality=quality)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
