"""The contact sheet of a reconstruction: the original, and the image that each layer keeps.

The priors reduce contrast, most of all in deep layers. The sheet stretches the pictures to the
original's range of levels; Mahendran & Vedaldi show theirs stretched as well (vl_imsc).
"""

from __future__ import annotations

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.pictures.contact_sheet import LabelledPicture, contact_sheet

from .reconstruction import ReconstructedLayer, ReconstructionResult

# Pictures in a row. By eye.
COLUMNS = 5
# Largest side of a picture in a sheet with a column per layer, in pixels. By eye.
SWEEP_CELL = 144
# Percent of levels ignored at either end of their range: a few may lie far out. A guess.
OUTLIERS_PERCENT = 0.5


def reconstruction_sheet(result: ReconstructionResult, title: str) -> Array:
    """Draw the sheet of a reconstruction: (H, W, 3), RGB in [0, 1].

    The original comes first, then the layers in the network's order, each with its error. If a
    layer was reconstructed with several weights of the total variation, each weight is a row.

    Args:
        result: The reconstruction, with at least one layer.
        title: Title at the top.
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
    name = layer.layer.replace("/", "/\n")  # two short lines; a long one would be cut in the middle
    return LabelledPicture(shown, f"{name}\n{100 * layer.error:.1f} %")


def stretched(image: Array, original: Array) -> Array:
    """Stretch an image to the range of levels of another, all channels alike; both (H, W, 3)."""
    percentiles = (OUTLIERS_PERCENT, 100 - OUTLIERS_PERCENT)
    low, high = np.percentile(image, percentiles)
    lowest, highest = np.percentile(original, percentiles)
    gain = (highest - lowest) / max(high - low, np.finfo(np.float32).eps)
    shown: Array = np.clip(lowest + (image - low) * gain, 0, 1).astype(np.float32)
    return shown
