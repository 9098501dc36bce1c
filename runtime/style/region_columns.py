"""Regions of a style transfer by nearest neighbours: which columns may be neighbours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.pictures.colours import recolored

from .paintings import Painting, palette
from .regions import Regions, counterpart, weights_at

NOWHERE = -1
"""The number of a place without a style."""


def region_numbers(regions: Regions, size: tuple[int, int]) -> NDArray[np.intp]:
    """Return the number of the region at each place, in their order, (h w,).

    A place whose regions cover less than half of it has no style, :data:`NOWHERE`.

    Args:
        regions: One or more.
        size: Height and width of the grid of places.
    """
    covers = np.stack([weights_at(region, size).ravel() for region in regions.values()])
    return np.where(covers.sum(axis=0) < 0.5, NOWHERE, covers.argmax(axis=0))


def places_of(painting: Painting, name: str, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return where a painting has the style of a region of the photo, (h w,).

    The places that the region covers by half, or those that it covers most if there are none.

    Args:
        painting: The painting; one without regions has the style everywhere.
        name: The region of the photo.
        size: Height and width of the grid of places.
    """
    if painting.regions is None:
        return np.ones(size[0] * size[1], bool)
    own = counterpart(name, painting.regions)
    if own is None:
        return np.zeros(size[0] * size[1], bool)
    covered = weights_at(painting.regions[own], size).ravel()
    return np.asarray(covered >= min(0.5, float(covered.max())))


def places_of_regions(
    paintings: Sequence[Painting], regions: Regions, sizes: Sequence[tuple[int, int]]
) -> list[NDArray[np.bool_]]:
    """Return the places of all paintings, one after another, for each region of the photo.

    Args:
        paintings: The paintings.
        regions: Those of the photo.
        sizes: Height and width of the grid of each painting.
    """
    return [
        np.concatenate(
            [places_of(each, name, size) for each, size in zip(paintings, sizes, strict=True)]
        )
        for name in regions
    ]


def nearest_within(
    queries: Array,
    numbers: NDArray[np.intp],
    candidates: Array,
    allowed: Sequence[NDArray[np.bool_]],
    nearest: Callable[[Array, Array], NDArray[np.intp]],
) -> NDArray[np.intp]:
    """Find the most similar candidate of each query among those of its region, (Q,).

    Args:
        queries: (D, Q), one a column.
        numbers: The region of each query, (Q,).
        candidates: (D, P), one a column.
        allowed: The candidates of each region, (P,), at least one.
        nearest: Finds the most similar candidate of each query.

    Returns:
        The indices; :data:`NOWHERE` for queries without a region.
    """
    found = np.full(queries.shape[1], NOWHERE)
    for number, each in enumerate(allowed):
        (asking,), (offered,) = np.nonzero(numbers == number), np.nonzero(each)
        if len(asking):
            found[asking] = offered[nearest(queries[:, asking], candidates[:, offered])]
    return found


def recolored_by_region(image: Array, regions: Regions, paintings: Sequence[Painting]) -> Array:
    """Give each region of a picture the mean and covariance of its style's colours.

    Args:
        image: (H, W, 3) in [0, 1].
        regions: Those of the photo, of any size; empty for the whole picture.
        paintings: The paintings.
    """
    if not regions:
        return recolored(image, palette(paintings))
    numbers = region_numbers(regions, image.shape[:2]).reshape(image.shape[:2])
    result = image.copy()
    for number, name in enumerate(regions):
        inside = numbers == number
        if inside.any():
            colours = palette(list(filter(_is_some, (_within(each, name) for each in paintings))))
            result[inside] = recolored(image[inside][None], colours)[0]
    return result


def _within(painting: Painting, name: str) -> Painting:
    """The pixels of a painting in a region, (n, 1, 3)."""
    height, width, _ = painting.pixels.shape
    inside = places_of(painting, name, (height, width)).reshape(height, width)
    return replace(painting, pixels=painting.pixels[inside][:, None])


def _is_some(painting: Painting) -> bool:
    return painting.pixels.size > 0
