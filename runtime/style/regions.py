"""Regions: the parts of a photo and of a painting that belong together, from pictures of masks.

A grey mask has two regions, white and black, and greys between belong to both. A coloured mask has
a region for each of its colours. Regions of photo and painting belong together by their colours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.pictures.images import ImageLike, as_picture

WHITE, BLACK = "white", "black"

# Guesses, held against masks that were stored as JPEG: channels of a grey pixel differ by less than
# this, and so do the colours of one region in each channel.
_GREY = 24 / 255
_SAME_COLOUR = 48 / 255
# Share of a mask that a colour must cover to be a region. Below it is a seam between two others.
_SMALLEST = 1 / 200
# Levels to which colours are rounded before they are counted.
_LEVELS = 16
_MOST = 12
# Difference between the proportions of a mask and of its picture: a rounded side, and no more.
_SAME_PROPORTIONS = 0.02

Regions = Mapping[str, Array]
"""The weight of each region at every place, (H, W) in [0, 1], by the region's name."""


@dataclass(frozen=True, eq=False)
class Masks:
    """The masks of a photo.

    Attributes:
        regions: A picture of its regions; None for the whole photo.
        content: A picture that is white where the photo's content counts; None for everywhere.
    """

    regions: ImageLike | None = None
    content: ImageLike | None = None


def read_regions(mask: ImageLike, of: tuple[int, ...], what: str) -> Regions:
    """Read the regions of a mask; empty ones are left out.

    Args:
        mask: The picture of the mask.
        of: Height and width of its picture.
        what: Name of its picture in messages, "photo" or "style".

    Raises:
        ImageError: It cannot be read, has other proportions than its picture, or too many colours.
    """
    try:
        pixels = as_picture(mask).pixels
    except ImageError as error:
        raise ImageError(f"The mask of the {what} cannot be used: {error}") from error
    height, width, _ = pixels.shape
    proportions = float(width * of[0]) / float(height * of[1])
    if abs(proportions - 1) > _SAME_PROPORTIONS + 1 / min(height, *of[:2]):
        raise ImageError(
            f"The mask of the {what} is {width}x{height} pixels and the {what} {of[1]}x{of[0]}: "
            "they need the same proportions."
        )
    is_grey = float(np.ptp(pixels, axis=2).max()) < _GREY
    found = _of_greys(pixels) if is_grey else _of_colours(pixels, what)
    return {name: region for name, region in found.items() if region.mean() >= _SMALLEST}


def read_weights(mask: ImageLike, of: tuple[int, ...]) -> Array:
    """Read where the content counts, (H, W) in [0, 1]: white fully, black not at all.

    Raises:
        ImageError: It cannot be read, has other proportions than the photo, or is black.
    """
    regions = read_regions(mask, of, "photo's content")
    if WHITE not in regions:
        raise ImageError("The mask of the photo's content has no white.")
    return regions[WHITE]


def regions_of_photo(
    masks: Masks | None, of: tuple[int, ...], of_styles: Sequence[Regions | None]
) -> Regions:
    """Return the regions of a photo that get a style; none if neither it nor a style has a mask.

    See :func:`read_regions` and :func:`styled`. A photo without a mask is white.
    """
    if masks is not None and masks.regions is not None:
        return styled(read_regions(masks.regions, of, "photo"), of_styles)
    if all(each is None for each in of_styles):
        return {}
    return styled({WHITE: np.ones(of[:2], np.float32)}, of_styles)


def styled(regions: Regions, of_styles: Sequence[Regions | None]) -> Regions:
    """Return the regions of the photo that get a style.

    Without a mask of a style, black stays without style.

    Args:
        regions: Those of the photo.
        of_styles: Those of each painting; None for one without a mask, which all regions get.

    Raises:
        ImageError: No region is left, or a region is in no painting; names it.
    """
    if all(each is None for each in of_styles):
        regions = {name: region for name, region in regions.items() if name != BLACK}
    if not regions:
        raise ImageError("The mask of the photo has no region: it is all black.")
    for name in regions:
        if all(each is not None and counterpart(name, each) is None for each in of_styles):
            raise ImageError(f"The style's mask lacks the region {name} of the photo's mask.")
    return regions


def counterpart(name: str, regions: Regions) -> str | None:
    """Return the region of a painting with a region's colour, or nearly; None if it has none."""
    if name in regions:
        return name
    distances = ((_distance(_colour(name), _colour(other)), other) for other in regions)
    distance, nearest = min(distances, default=(1.0, ""))
    return nearest if distance < _SAME_COLOUR else None


def guide(region: Array, field: int | None, size: Sequence[int]) -> Array:
    """Return the guide of a layer, (1, 1, h, w), whose mean square is 1.

    The region is narrowed by half of the layer's receptive field, so that its positions see nothing
    outside; but not beyond the middle of its places, so that some of a small region is left.
    Multiplied by the guide, an activation has the Gram matrix of the region alone, on the scale of
    that of a whole picture (Gatys et al. 2017, guided Gram matrices with their "inside" guides).

    Args:
        region: (H, W) in [0, 1], at the size of the picture.
        field: Side of the layer's receptive field, in pixels; None for the whole picture.
        size: Height and width of the layer.
    """
    small = _shrunk(narrowed(region, (field or 1) / 2), size)
    share = max(float(small.mean()), 1e-12)
    return np.asarray(np.sqrt(small / share)[None, None], dtype=np.float32)


def weights_at(region: Array, size: Sequence[int]) -> Array:
    """Return the weights of a mask at a layer's height and width, (1, 1, h, w)."""
    return _shrunk(region, size)[None, None]


def narrowed(region: Array, distance: float) -> Array:
    """Return a region without the places that are nearer to its border than a distance.

    The distance is at most the median of the distances of its places.
    """
    inside = (region >= 0.5).astype(np.uint8)
    if inside.all() or not inside.any():
        return region
    depths = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    enough = min(distance, float(np.median(depths[inside > 0])))
    return np.where(depths >= enough, region, 0).astype(np.float32)


def _shrunk(region: Array, size: Sequence[int]) -> Array:
    height, width = size
    shrunk = cv2.resize(region, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(shrunk, 0, 1), dtype=np.float32)


def _of_greys(pixels: Array) -> dict[str, Array]:
    white = pixels.mean(axis=2, dtype=np.float32)
    return {WHITE: white, BLACK: 1 - white}


def _of_colours(pixels: Array, what: str) -> dict[str, Array]:
    """The regions of the main colours; each pixel belongs to the nearest."""
    colours = _main_colours(pixels)
    if not 0 < len(colours) <= _MOST:
        raise ImageError(
            f"The mask of the {what} has to be of flat areas in 1 to {_MOST} colours, and this "
            f"picture has {len(colours) or 'none'}."
        )
    distances = np.stack([np.abs(pixels - colour).max(axis=2) for colour in colours])
    nearest = distances.argmin(axis=0)
    return {
        _name(colour): (nearest == number).astype(np.float32)
        for number, colour in enumerate(colours)
    }


def _main_colours(pixels: Array) -> list[NDArray[np.float64]]:
    """The colours that cover most, the first ones most, none like another."""
    rounded = np.rint(pixels.reshape(-1, 3) * (_LEVELS - 1)).astype(np.int64)
    _, places, counts = np.unique(
        rounded @ [_LEVELS**2, _LEVELS, 1], return_inverse=True, return_counts=True
    )
    sums = np.stack([np.bincount(places.ravel(), weights=c) for c in pixels.reshape(-1, 3).T], 1)
    found: list[NDArray[np.float64]] = []
    for index in np.argsort(-counts, kind="stable"):
        colour = sums[index] / counts[index]
        covers = counts[index] >= _SMALLEST * len(rounded)
        if covers and all(_distance(colour, other) >= _SAME_COLOUR for other in found):
            found.append(colour)
    return found


def _name(colour: NDArray[np.float64]) -> str:
    """The colour in hexadecimal, rounded so that JPEG's noise gives no other name."""
    levels = 255 // (_LEVELS - 1) * np.rint(np.asarray(colour) * (_LEVELS - 1)).astype(int)
    text = "".join(f"{level:02x}" for level in levels)
    return {"ffffff": WHITE, "000000": BLACK}.get(text, text)


def _colour(name: str) -> NDArray[np.float64]:
    text = {WHITE: "ffffff", BLACK: "000000"}.get(name, name)
    return np.array([int(text[at : at + 2], 16) for at in (0, 2, 4)]) / 255


def _distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.abs(one - other).max())
