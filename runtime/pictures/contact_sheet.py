"""Contact sheets: labelled pictures in rows and columns, side by side.

Every verb that shows several pictures lays them out here, with dark text on white. The fonts are
those of OpenCV 5, so a sheet looks the same on every machine, and file names are readable in any
common script.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from nstbatch.runtime.errors import ImageError

from .sizes import fit_long_side, resize

WHITE, DARK = 255, 32

# In pixels, chosen by eye for sheets that are viewed unscaled.
TITLE_SIZE, HEADING_SIZE, LABEL_SIZE = 20, 15, 13
LINE_SPACING = 1.35  # distance between lines, as a multiple of the letter size
GAP = 8
MARGIN = 16
# An empty column is a few gaps wide and separates groups of columns.
EMPTY_COLUMN = 3 * GAP
# Longer row headings are cut, so that they do not push the pictures out of sight.
WIDEST_HEADING = 200


@dataclass(frozen=True, eq=False)
class LabelledPicture:
    """One cell of a sheet."""

    pixels: NDArray[np.float32]
    """(H, W, 3), RGB in [0, 1], of any size."""
    label: str = ""
    """Shown below the picture; a line that is too wide loses its middle."""


Cell = LabelledPicture | None


def contact_sheet(
    rows: Sequence[Sequence[Cell]],
    *,
    title: str = "",
    row_headings: Sequence[str] = (),
    column_headings: Sequence[str] = (),
    cell_size: int = 160,
) -> NDArray[np.float32]:
    """Lay pictures out in rows and columns.

    A picture is shrunk to fit its cell. A picture that is at most half as large as its cell is
    enlarged by a whole factor with nearest neighbour, so its pixels keep their values.

    Args:
        rows: Rows of cells; None is an empty cell, and rows may differ in length. A column with
            only empty cells is a narrow gap.
        title: Text above everything, wrapped to several lines if needed.
        row_headings: Texts left of the rows, from the first row on.
        column_headings: Texts above the columns, from the first column on; a heading may extend
            over the following columns whose headings are empty.
        cell_size: The largest side of a picture on the sheet, in pixels.

    Returns:
        (H, W, 3) float32, RGB in [0, 1], as :func:`.images.write` takes it.

    Raises:
        ImageError: There is no picture, or one is not (H, W, 3).
    """
    fitted = [[_fitted(cell, cell_size) for cell in row] for row in rows]
    if not any(cell is not None for row in fitted for cell in row):
        raise ImageError("A contact sheet needs at least one picture.")
    used = [any(cell is not None for cell in column) for column in zip_longest(*fitted)]
    lefts, right = _places(
        _heading_width(row_headings), [cell_size if full else EMPTY_COLUMN for full in used]
    )
    canvas = _Canvas(right + MARGIN)
    canvas.text(title, MARGIN, right - MARGIN, TITLE_SIZE, wrap=True)
    canvas.skip(GAP if title else 0)
    canvas.headings(column_headings, lefts, right)
    for index, row in enumerate(fitted):
        top = canvas.height
        heading = row_headings[index] if index < len(row_headings) else ""
        canvas.text(heading, MARGIN, WIDEST_HEADING, HEADING_SIZE, wrap=True)
        below_heading = canvas.height
        canvas.height = top
        canvas.pictures(row, lefts)
        canvas.texts([cell.label if cell else "" for cell in row], lefts, cell_size, LABEL_SIZE)
        canvas.height = max(canvas.height, below_heading)
        canvas.skip(GAP)
    return canvas.drawn(canvas.height + MARGIN - GAP)


def _places(heading: int, widths: Sequence[int]) -> tuple[list[int], int]:
    """The left edge of each column, and the right edge of the last one."""
    lefts, left = [], MARGIN + heading
    for width in widths:
        lefts.append(left)
        left += width + GAP
    return lefts, left - GAP


def _heading_width(headings: Sequence[str]) -> int:
    """Width of the row headings and the gap after them; 0 if there are none."""
    widest = max((text_width(_shown(text), HEADING_SIZE) for text in headings), default=0)
    return min(widest, WIDEST_HEADING) + GAP if widest else 0


def _fitted(cell: Cell, size: int) -> Cell:
    """The cell with its picture scaled to a square of ``size``; see :func:`contact_sheet`."""
    if cell is None:
        return None
    pixels = cell.pixels
    if pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise ImageError(f"A picture must have the shape (H, W, 3), not {pixels.shape}.")
    height, width, _ = pixels.shape
    if max(height, width) > size:
        return LabelledPicture(resize(pixels, fit_long_side(height, width, size)), cell.label)
    enlarged = pixels.repeat(size // max(height, width), 0).repeat(size // max(height, width), 1)
    return LabelledPicture(enlarged, cell.label)


# --- Drawing ----------------------------------------------------------------------------------


class _Canvas:
    """A white sheet that is filled from the top and drawn once its height is known."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.height = MARGIN
        """Height used so far; the next element goes below it."""
        self._texts: list[tuple[str, int, int, int]] = []
        self._pictures: list[tuple[NDArray[np.float32], int, int]] = []

    def skip(self, pixels: int) -> None:
        """Leave vertical space."""
        self.height += pixels

    def text(self, text: str, left: int, width: int, size: int, *, wrap: bool = False) -> None:
        """Write lines in letters of a size; lines wider than ``width`` are wrapped or cut."""
        for line in map(_shown, text.splitlines()):
            for part in wrapped(line, width, size) if wrap else [line]:
                self._texts.append((elided(part, width, size), left, self.height, size))
                self.height += round(size * LINE_SPACING)

    def texts(self, texts: Sequence[str], lefts: Sequence[int], width: int, size: int) -> None:
        """Write texts side by side."""
        top = bottom = self.height
        for text, left in zip(texts, lefts, strict=False):
            self.height = top
            self.text(text, left, width, size)
            bottom = max(bottom, self.height)
        self.height = bottom

    def headings(self, texts: Sequence[str], lefts: Sequence[int], right: int) -> None:
        """Write column headings, each as wide as the space up to the next non-empty one."""
        top = bottom = self.height
        end = right + GAP
        for text, left in reversed(list(zip(texts, lefts, strict=False))):
            self.height = top
            self.text(text, left, end - left - GAP, HEADING_SIZE)
            bottom = max(bottom, self.height)
            end = left if text else end
        self.height = bottom

    def pictures(self, cells: Sequence[Cell], lefts: Sequence[int]) -> None:
        """Place pictures side by side, their lower edges on one line, above the labels."""
        tallest = max((cell.pixels.shape[0] for cell in cells if cell is not None), default=0)
        self.height += tallest
        for cell, left in zip(cells, lefts, strict=False):
            if cell is not None:
                self._pictures.append((cell.pixels, left, self.height - cell.pixels.shape[0]))
        self.height += GAP // 2

    def drawn(self, height: int) -> NDArray[np.float32]:
        """The sheet, (height, width, 3), RGB in [0, 1]."""
        letters = np.full((height, self.width, 3), WHITE, np.uint8)
        for text, left, top, size in self._texts:
            draw_text(letters, text, left, top, size)
        sheet = letters.astype(np.float32) / np.float32(WHITE)
        for picture, left, top in self._pictures:
            sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture.clip(0, 1)
        return sheet


# --- Letters ----------------------------------------------------------------------------------

_WEIGHT = 400  # font weight as in CSS: regular


@functools.cache
def _font() -> Any:
    # OpenCV takes the characters that it lacks, such as Chinese ones, from another of its fonts.
    return cv2.FontFace("sans")


def _shown(text: str) -> str:
    """The line with a box for each character that is invisible or would reverse the text."""
    return "".join(
        character if character.isprintable() else "\N{WHITE SQUARE}" for character in text
    )


def text_width(text: str, size: int) -> int:
    """Width of a line in letters of a size, in pixels."""
    left, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), _font(), size, _WEIGHT)
    return int(left + width)


def draw_text(canvas: NDArray[np.uint8], text: str, left: int, top: int, size: int) -> None:
    """Write a line onto a canvas (H, W, 3), from 0 to 255; its upper left corner is given."""
    cv2.putText(canvas, text, (left, top + size), (DARK,) * 3, _font(), size, _WEIGHT)


def elided(text: str, width: int, size: int) -> str:
    """Shorten a line to a width by cutting its middle, since names differ at their ends."""
    if text_width(text, size) <= width:
        return text
    for kept in range(len(text) - 1, 0, -1):
        shorter = f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"
        if text_width(shorter, size) <= width:
            return shorter
    return "…"


def wrapped(text: str, width: int, size: int) -> list[str]:
    """Break a line at spaces into lines of a width; a word that is too wide gets its own line."""
    lines: list[str] = []
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
