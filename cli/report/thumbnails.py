"""Pictures small enough to be part of a page, as ``data:`` URIs."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nstbatch.runtime.errors import ImageError

if TYPE_CHECKING:
    from nstbatch.runtime.pictures.images import Picture

# Characters that the thumbnails of a page share, so that one of 1,000 pictures, each before and
# after, stays under 30 MB with all that is written beside them.
PAGE_BUDGET = 24_000_000

# What one thumbnail may take of it. The most: enough for 640 pixels of a painted picture at
# quality 80, measured on the example in the README. The least: 200 pixels, a guess at what is still
# worth looking at; with more than 2,000 pictures a page grows beyond the budget.
MOST, LEAST = 80_000, 6_000

LONGEST_SIDE = 640

# Tried one after the other. Below 40 JPEG's blocks show more than missing pixels do (by eye).
QUALITIES = (80, 60, 40)
SAVING = 2  # what the last of them is smaller by than the first; measured on the same example
MOST_OF_A_SIDE = 0.85  # what to try next of it, if that is not enough; a guess
SMALLEST_SIDE = 96  # ends the search; a thumbnail of so few pixels is taken whatever it weighs


@dataclass(frozen=True)
class Thumbnail:
    """A small picture, and the size in pixels that it has."""

    uri: str
    width: int
    height: int


def budget(pictures: int) -> int:
    """The characters that each thumbnail may take on a page of so many pictures."""
    return max(LEAST, min(MOST, PAGE_BUDGET // max(1, 2 * pictures)))


def thumbnail(path: Path, budget: int = MOST) -> Thumbnail | None:
    """Make a thumbnail of a picture; None where it is missing or cannot be read.

    Args:
        path: A picture of any kind that can be painted.
        budget: Characters that the URI may take.
    """
    try:
        picture = _read(path)
    except (ImageError, MemoryError, ValueError):  # a name may hold what no file system takes
        return None
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
    """Nothing larger outlives this: many threads make thumbnails."""
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
    """JPEG, ten times as fast as WebP and on brush strokes as small; WebP for transparency."""
    import numpy as np
    from PIL import Image

    samples, kind = picture.pixels, "JPEG"
    if picture.alpha is not None:
        samples, kind = np.dstack([samples, picture.alpha]), "WEBP"
    buffer = io.BytesIO()
    levels = np.rint(samples * 255).astype(np.uint8)
    Image.fromarray(levels).save(buffer, kind, quality=quality)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
