"""The paintings that give a style: one, or several with weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.checks import at_least
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.pictures.images import ImageLike, as_picture
from nstbatch.runtime.pictures.sizes import fit_long_side, resize, to_nchw

# Colours of a palette of several paintings. A guess: a mean of so many is right within 1/255.
PALETTE = 256 * 256


@dataclass(frozen=True, eq=False)
class Style:
    """One of several styles.

    Attributes:
        image: The painting.
        weight: Its weight beside the others.

    Raises:
        UsageError: The weight is negative or no number.
    """

    image: ImageLike
    weight: float = 1.0

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
    """

    pixels: Array
    share: float = 1.0


def read_paintings(style: StyleLike, size: int | str | None = None) -> list[Painting]:
    """Read the paintings of a style; those without weight are left out.

    Args:
        style: The style.
        size: See :func:`nstbatch.runtime.pictures.images.as_picture`.

    Raises:
        ImageError: A painting cannot be read.
        UsageError: There is no style, or none has a weight.
    """
    several = style if isinstance(style, tuple | list) else [style]
    styles = [each if isinstance(each, Style) else Style(each) for each in several]
    total = sum(each.weight for each in styles)
    if not total > 0:
        raise UsageError("At least one style needs a weight above 0.")
    return [
        Painting(as_picture(each.image, size).pixels, each.weight / total)
        for each in styles
        if each.weight > 0
    ]


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


def blended_targets(
    shares: Sequence[float], targets: Sequence[Mapping[str, Array]]
) -> Mapping[str, Array]:
    """Return the sums of the targets of several paintings, each times its share.

    Gram matrices, means and covariances all blend so; neural-style and style-transfer-pytorch
    blend their targets too, so a second painting costs no step more time.
    """
    if len(targets) == 1:
        return targets[0]
    return {
        name: np.sum(
            [np.float32(share) * each[name] for share, each in zip(shares, targets, strict=True)],
            axis=0,
        )
        for name in targets[0]
    }


def _drawn(pixels: Array, share: float) -> Array:
    """A share of a palette: colours of a picture, evenly drawn, (n, 3)."""
    colours = pixels.reshape(-1, 3)
    number = max(1, round(PALETTE * share))
    return colours[np.linspace(0, len(colours) - 1, number).round().astype(np.intp)]
