"""The contact sheet of a reconstruction: the original, and what each layer keeps of it.

The priors take contrast away, the more so the deeper the layer. The pictures on the sheet have the
original's range of levels again; Mahendran & Vedaldi show theirs stretched as well (vl_imsc).
"""

from __future__ import annotations

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.pictures.contact_sheet import LabelledPicture, contact_sheet

from .reconstruction import ReconstructedLayer, ReconstructionResult

# Pictures in a row. By eye.
COLUMNS = 5
# The largest side of a picture where every layer has a column, in pixels. By eye.
SWEEP_CELL = 144
# Of the levels, left out of their range at either end, since a few pixels may be anywhere. A guess.
OUTLIERS_PERCENT = 0.5


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
        cells = [original, *(_cell(layer, result.original) for layer in result.layers)]
        rows = [cells[start : start + COLUMNS] for start in range(0, len(cells), COLUMNS)]
        return contact_sheet(rows, title=title, cell_size=max(result.original.shape))
    by_weight = [[layer for layer in result.layers if layer.tv_weight == w] for w in weights]
    return contact_sheet(
        [[original, *(_cell(layer, result.original) for layer in row)] for row in by_weight],
        title=title,
        row_headings=[f"TV {weight:g}" for weight in weights],
        cell_size=SWEEP_CELL,
    )


def _cell(layer: ReconstructedLayer, original: Array) -> LabelledPicture:
    shown = stretched(layer.image, original)
    name = layer.layer.replace("/", "/\n")  # two short lines, where one would lose its middle
    return LabelledPicture(shown, f"{name}\n{100 * layer.error:.1f} %")


def stretched(image: Array, original: Array) -> Array:
    """An image with the range of levels of another, all channels alike; both (H, W, 3)."""
    percentiles = (OUTLIERS_PERCENT, 100 - OUTLIERS_PERCENT)
    low, high = np.percentile(image, percentiles)
    lowest, highest = np.percentile(original, percentiles)
    gain = (highest - lowest) / max(high - low, np.finfo(np.float32).eps)
    shown: Array = np.clip(lowest + (image - low) * gain, 0, 1).astype(np.float32)
    return shown
