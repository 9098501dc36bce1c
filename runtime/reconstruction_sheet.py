"""The contact sheet of a reconstruction: the original, and what each layer keeps of it."""

from __future__ import annotations

from .contact_sheet import LabelledPicture, contact_sheet
from .reconstruction import ReconstructedLayer, ReconstructionResult
from .session import Array

# Pictures in a row. By eye.
COLUMNS = 5
# The largest side of a picture where every layer has a column, in pixels. By eye.
SWEEP_CELL = 144


def reconstruction_sheet(result: ReconstructionResult, title: str) -> Array:
    """Lay a reconstruction out: (H, W, 3), RGB in [0, 1].

    The original comes first, then the layers from the image on, each with its error. Where a layer
    was reconstructed with several weights of the total variation, they are the rows.

    Args:
        result: With one layer at least.
        title: Above everything.
    """
    weights = list(dict.fromkeys(layer.tv_weight for layer in result.layers))
    names = list(dict.fromkeys(layer.layer for layer in result.layers))
    original = LabelledPicture(result.original, "original")
    if len(result.layers) == len(names):
        cells = [original, *map(_cell, result.layers)]
        rows = [cells[start : start + COLUMNS] for start in range(0, len(cells), COLUMNS)]
        return contact_sheet(rows, title=title, cell_size=max(result.original.shape))
    by_weight = [[layer for layer in result.layers if layer.tv_weight == w] for w in weights]
    return contact_sheet(
        [[original, *map(_cell, layers)] for layers in by_weight],
        title=title,
        row_headings=[f"TV {weight:g}" for weight in weights],
        cell_size=SWEEP_CELL,
    )


def _cell(layer: ReconstructedLayer) -> LabelledPicture:
    return LabelledPicture(layer.image, f"{layer.layer}\n{100 * layer.error:.1f} %")
