"""Makes docs/images/results.jpg, the grid of the README, from pictures that are already there.

python docs/result_grid.py
"""

from __future__ import annotations

from pathlib import Path

from nstbatch.runtime.pictures.contact_sheet import LabelledPicture, contact_sheet
from nstbatch.runtime.pictures.images import read, write

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
CELL = 224  # pixels of a picture's long side on the sheet

Box = tuple[int, int, int, int]
"""Left, top, right and bottom of a part of a picture, in pixels."""

CELLS: tuple[tuple[tuple[str, Path, Box | None], ...], ...] = (
    (
        ("a photo", ROOT / "examples/photos/chelsea.jpg", None),
        ("stylize", IMAGES / "chelsea_starry_night.jpg", None),
        ("texture", IMAGES / "texture_starry_night.jpg", (316, 336, 600, 525)),
        ("fill", IMAGES / "fill_holes.jpg", (0, 390, 768, 774)),
    ),
    (
        ("reconstruct", IMAGES / "reconstruction_chelsea_vgg16.jpg", (249, 446, 472, 594)),
        ("deconv", IMAGES / "deconv_alexnet_relu3.jpg", (36, 108, 270, 264)),
        ("dream", IMAGES / "dream_chelsea.jpg", None),
        ("dream --class", IMAGES / "dream_classes.jpg", (0, 37, 224, 187)),
    ),
)


def cell(label: str, path: Path, box: Box | None) -> LabelledPicture:
    """Return a cell of the sheet."""
    pixels = read(path).pixels
    if box is not None:
        left, top, right, bottom = box
        pixels = pixels[top:bottom, left:right]
    return LabelledPicture(pixels, label)


if __name__ == "__main__":
    sheet = contact_sheet([[cell(*each) for each in row] for row in CELLS], cell_size=CELL)
    write(IMAGES / "results.jpg", sheet, quality=85)
