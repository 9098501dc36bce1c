"""Sheets of projections: one filter, several filters, or filters over the epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.pictures.contact_sheet import Cell, LabelledPicture, contact_sheet

from .deconvnet import LayerMaxima, Projection
from .drawing import GREY
from .maxima import FilterMaxima

# Pictures per row of a block: 3x3 blocks, as in Zeiler & Fergus 2014, figure 2.
COLUMNS = 3

CELL, SMALL_CELL = 160, 72
NARROWEST_CELL = 120  # wide enough for a file name below


def filter_sheet(
    title: str, found: LayerMaxima, number: int, projections: Sequence[Projection]
) -> Array:
    """Draw a filter's projections beside their patches, the strongest first.

    Args:
        title: Names the network and the rule.
        found: Maxima of the layer.
        number: The filter.
        projections: Projections of its maxima; empty for a dead filter.

    Returns:
        (H, W, 3), RGB in [0, 1].
    """
    shown = [*map(_pictures_of, projections)]
    names = [found.images[p.maximum.image].name for p in projections]
    values = [f"{p.maximum.value:.4g}" for p in projections]
    cells = [LabelledPicture(p, v) for (p, _), v in zip(shown, values, strict=True)]
    patches = [LabelledPicture(patch, n) for (_, patch), n in zip(shown, names, strict=True)]
    rows: list[list[Cell]] = [
        [*_filled(cells[start : start + COLUMNS]), None, *patches[start : start + COLUMNS]]
        for start in range(0, len(cells), COLUMNS)
    ]
    return contact_sheet(
        rows or [[_nothing()]],
        title=f"{title}, {found.layer}, filter {number}: {fires(found, found.filters[number])}",
        column_headings=["Projections", "", "", "", "Patches"] if rows else [],
        cell_size=max(NARROWEST_CELL, _cell_size(projections, CELL)),
    )


def overview_sheet(
    title: str, found: LayerMaxima, filters: Mapping[int, Sequence[Projection]]
) -> Array:
    """Draw several filters of a layer, one per row: projections left, patches right.

    Args:
        title: Names the network and the rule.
        found: Maxima of the layer.
        filters: The projections of each filter, by its number.

    Returns:
        (H, W, 3), RGB in [0, 1].
    """
    everything = [p for projections in filters.values() for p in projections]
    width = max(map(len, filters.values()))
    rows: list[list[Cell]] = []
    for projections in filters.values():
        shown = [*map(_pictures_of, projections)]
        cells: list[Cell] = [LabelledPicture(projected) for projected, _ in shown] or [_nothing()]
        cells += [None] * (width + 1 - len(cells))
        rows.append([*cells, *(LabelledPicture(patch) for _, patch in shown)])
    return contact_sheet(
        rows,
        title=f"{title}, {found.layer}",
        row_headings=[
            str(number) if shown else f"{number} dead" for number, shown in filters.items()
        ],
        column_headings=["Projections", *[""] * width, "Patches"],
        cell_size=_cell_size(everything, SMALL_CELL),
    )


def evolution_sheet(title: str, epochs: Mapping[str, Mapping[int, Projection | None]]) -> Array:
    """Draw the evolution of filters in training: one per row, a column for each epoch.

    Each cell shows the projection of the filter's strongest activation, and its patch, as in
    Zeiler & Fergus 2014, figure 4 (which shows no patches).

    Args:
        title: Names the network, the layer and the rule.
        epochs: For each epoch, by name, the projection of each filter, by number; None for a dead
            filter.

    Returns:
        (H, W, 3), RGB in [0, 1].
    """
    numbers = list(next(iter(epochs.values())))

    def pair(projection: Projection | None) -> LabelledPicture:
        if projection is None:
            return _nothing()
        return LabelledPicture(
            np.hstack(_pictures_of(projection)), f"{projection.maximum.value:.4g}"
        )

    return contact_sheet(
        [[pair(filters[number]) for filters in epochs.values()] for number in numbers],
        title=title,
        row_headings=[str(number) for number in numbers],
        column_headings=list(epochs),
        cell_size=CELL,
    )


def fires(found: LayerMaxima, of_filter: FilterMaxima) -> str:
    """Say in how many images a filter has a positive activation."""
    count = len(found.images)
    if of_filter.is_dead:
        return f"never fires in {count} images"
    return f"fires in {of_filter.fires} of {count} images"


def sheet_path(out: Path, layer: str, number: int) -> Path:
    """Return the file of a filter's sheet; a layer's name may contain slashes."""
    return out / f"{file_stem(layer)}_filter_{number:04}.png"


def file_stem(layer: str) -> str:
    """Return a layer's name without slashes, for file names."""
    return layer.replace("/", "_")


def _pictures_of(projection: Projection) -> tuple[Array, Array]:
    """Draw a projection and its patch, of the size of the layer's boxes that no edge cuts.

    Grey fills the part beyond the edge of the image: a projection has nothing there.
    """
    box, (height, width) = projection.box, projection.whole
    down, right = height - projection.patch.shape[0], width - projection.patch.shape[1]
    pads = (
        (down, 0) if box.top == 0 else (0, down),
        (right, 0) if box.left == 0 else (0, right),
        (0, 0),
    )
    projected = np.pad(projection.picture, pads, constant_values=GREY)
    return projected, np.pad(projection.patch, pads, constant_values=GREY)


def _cell_size(projections: Sequence[Projection], most: int) -> int:
    """Return the largest size up to ``most`` that is a whole multiple of the pictures' size."""
    largest = max((max(p.whole) for p in projections), default=most)
    return most if largest > most else most // largest * largest


def _filled(cells: Sequence[Cell]) -> list[Cell]:
    return [*cells, *[None] * (COLUMNS - len(cells))]


def _nothing() -> LabelledPicture:
    """Draw the grey cell of a dead filter."""
    return LabelledPicture(np.full((1, 1, 3), GREY, np.float32), "dead")
