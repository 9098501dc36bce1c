"""The paintings that give a style: one, or several with weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.checks import at_least
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.pictures.images import ImageLike, as_picture
from nstbatch.runtime.pictures.sizes import fit_long_side, resize, to_nchw

from .regions import Regions, read_regions

# Colours of a palette of several paintings. A guess: a mean of so many is right within 1/255.
PALETTE = 256 * 256


@dataclass(frozen=True, eq=False)
class Style:
    """One of several styles.

    Attributes:
        image: The painting.
        weight: Its weight beside the others.
        mask: A picture of its regions, see :mod:`.regions`; None for the whole painting.

    Raises:
        UsageError: The weight is negative or no number.
    """

    image: ImageLike
    weight: float = 1.0
    mask: ImageLike | None = None

    def __post_init__(self) -> None:
        at_least("weight of a style", self.weight, 0)


StyleLike: TypeAlias = ImageLike | Style | tuple[ImageLike | Style, ...] | list[ImageLike | Style]
"""A style as the library takes it: a picture, or a tuple or list of pictures and styles."""


@dataclass(frozen=True, eq=False)
class Painting:
    """A painting that was read.

    Attributes:
        pixels: (H, W, 3).
        share: Its part of the style; those of all paintings add up to 1.
        regions: Its regions; None for the whole painting.
    """

    pixels: Array
    share: float = 1.0
    regions: Regions | None = None


def read_paintings(style: StyleLike, size: int | str | None = None) -> list[Painting]:
    """Read the paintings of a style; those without weight are left out.

    Args:
        style: The style.
        size: See :func:`nstbatch.runtime.pictures.images.as_picture`.

    Raises:
        ImageError: A painting or its mask cannot be used.
        UsageError: There is no style, or none has a weight.
    """
    several = style if isinstance(style, tuple | list) else [style]
    styles = [each if isinstance(each, Style) else Style(each) for each in several]
    total = sum(each.weight for each in styles)
    if not total > 0:
        raise UsageError("At least one style needs a weight above 0.")
    return [_painting(each, each.weight / total, size) for each in styles if each.weight > 0]


def _painting(style: Style, share: float, size: int | str | None) -> Painting:
    pixels = as_picture(style.image, size).pixels
    regions = None if style.mask is None else read_regions(style.mask, pixels.shape, "style")
    return Painting(pixels, share, regions)


def painting_at(painting: Array, wanted: int, smallest: int) -> Array:
    """Resize a painting to a long side, (1, 3, H, W).

    A long and narrow one becomes larger, so that its short side is not below ``smallest``.
    """
    height, width, _ = painting.shape
    narrow = math.ceil(smallest * max(height, width) / min(height, width))
    return to_nchw(resize(painting, fit_long_side(height, width, max(wanted, narrow))))


def palette(paintings: Sequence[Painting], side: int | None = None) -> Array:
    """Return a picture whose colours are those of the paintings, each by its share.

    Args:
        paintings: One, which is returned itself, or several.
        side: Long side to resize each to first; None keeps their sizes.

    Returns:
        (H, W, 3); for several, (:data:`PALETTE`, 1, 3) at most.
    """
    pictures = [
        each.pixels
        if side is None
        else resize(each.pixels, fit_long_side(each.pixels.shape[0], each.pixels.shape[1], side))
        for each in paintings
    ]
    if len(pictures) == 1:
        return pictures[0]
    shares = (each.share for each in paintings)
    return np.concatenate(list(map(_drawn, pictures, shares)))[:, None]


def blended(targets: Sequence[tuple[float, Array]]) -> Array:
    """Return the weighted mean of the targets of several paintings, with their shares.

    Gram matrices, means and covariances all blend so; neural-style and style-transfer-pytorch
    blend their targets too, so a second painting costs no step more time.
    """
    if len(targets) == 1:
        return targets[0][1]
    total = sum(share for share, _ in targets)
    parts = [np.float32(share / total) * values for share, values in targets]
    return np.asarray(np.sum(parts, axis=0), dtype=np.float32)


def _drawn(pixels: Array, share: float) -> Array:
    """A share of a palette: colours of a picture, evenly drawn, (n, 3)."""
    colours = pixels.reshape(-1, 3)
    number = max(1, round(PALETTE * share))
    return colours[np.linspace(0, len(colours) - 1, number).round().astype(np.intp)]
