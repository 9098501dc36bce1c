"""Histograms of activations, which arrive in batches and span many orders of magnitude."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.pictures.contact_sheet import DARK, LABEL_SIZE, WHITE, draw_text, text_width

# Bins of a quarter of an octave between 2^-24 and 2^24: activations lie well inside, of networks on
# pixels in [0, 1] and on bytes. Values beyond count in the first or last bin.
PER_OCTAVE, OCTAVES = 4, 24

# Bins at either end with a smaller share than this are not drawn: a guess.
LEAST_SHOWN = 1e-4

HEIGHT, WIDTH = 300, 400
AXIS = 24  # pixels at the bottom, for the numbers
BAR = (0.27, 0.45, 0.70)


class Histogram:
    """Counts positive values by magnitude, and all others together."""

    def __init__(self) -> None:
        """Start with counts of zero."""
        self.counts: NDArray[np.int64] = np.zeros(2 * OCTAVES * PER_OCTAVE, np.int64)
        self.not_positive = 0

    @property
    def edges(self) -> NDArray[np.float64]:
        """The lower edges of the bins, and the upper edge of the last one."""
        return np.exp2(np.arange(len(self.counts) + 1) / PER_OCTAVE - OCTAVES)

    @property
    def positive_share(self) -> float:
        """Share of positive values, from 0 to 1."""
        positive = int(self.counts.sum())
        return positive / max(1, positive + self.not_positive)

    def update(self, values: Array) -> None:
        """Count the values of an array of any shape."""
        positive = values[values > 0]
        bins = np.floor((np.log2(positive) + OCTAVES) * PER_OCTAVE).astype(np.int64)
        self.counts += np.bincount(bins.clip(0, len(self.counts) - 1), minlength=len(self.counts))
        self.not_positive += values.size - positive.size


def histogram_pictures(histograms: list[Histogram]) -> list[Array]:
    """Draw histograms as pictures (H, W, 3), RGB in [0, 1], with shared axes.

    The horizontal axis is the magnitude, in powers of ten; the vertical one the share of positive
    values.
    """
    counts = [h.counts / max(1, h.counts.sum()) for h in histograms]
    used = np.flatnonzero(np.max(counts, axis=0) >= LEAST_SHOWN)
    first, last = (used[0], used[-1] + 1) if used.size else (0, 1)
    tallest = max(float(c.max()) for c in counts) or 1.0
    edges = np.log10(histograms[0].edges[first : last + 1])
    return [_picture(c[first:last] / tallest, edges) for c in counts]


def _picture(heights: NDArray[np.float64], edges: NDArray[np.float64]) -> Array:
    """Draw bars of heights from 0 to 1 between edges, which are exponents of ten."""
    sheet = np.full((HEIGHT, WIDTH, 3), WHITE, np.uint8)
    bottom = HEIGHT - AXIS
    across = (edges - edges[0]) / (edges[-1] - edges[0]) * (WIDTH - 1)
    colour = tuple(round(part * WHITE) for part in BAR)
    for height, left, right in zip(heights, across, across[1:], strict=False):
        if height > 0:
            top = round(bottom - max(1, height * (bottom - 1)))
            corners = (round(left), top), (max(round(left), round(right) - 2), bottom)
            cv2.rectangle(sheet, *corners, colour, cv2.FILLED)
    cv2.line(sheet, (0, bottom), (WIDTH, bottom), (DARK,) * 3)
    for power in range(int(np.ceil(edges[0])), int(np.floor(edges[-1])) + 1):
        text = f"{10.0**power:g}"
        center = round(np.interp(power, edges, across))
        cv2.line(sheet, (center, bottom), (center, bottom + 4), (DARK,) * 3)
        left = min(max(0, center - text_width(text, LABEL_SIZE) // 2), WIDTH - 30)
        draw_text(sheet, text, left, bottom + 6, LABEL_SIZE)
    return sheet.astype(np.float32) / np.float32(WHITE)
