"""Paints one photo with every choice of the options of stylize, and makes docs/images/options.jpg.

python docs/option_sheet.py FOLDER

The pictures are small, by a small network in few steps, so that it takes minutes on two cores.
Presets too have this size and number of steps in place of their own. It goes on where it was
interrupted, since FOLDER keeps the pictures.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from nstbatch.runtime.pictures.contact_sheet import LabelledPicture, contact_sheet
from nstbatch.runtime.pictures.images import read, write

ROOT = Path(__file__).parents[1]
PHOTO = ROOT / "examples" / "photos" / "chelsea.jpg"
NIGHT, SCREAM, WAVE = (
    ROOT / "examples" / "styles" / f"{name}.jpg"
    for name in ("starry_night", "the_scream", "great_wave")
)
QUICK = ("--model", "squeezenet1_1", "--size", "144", "--iterations", "30", "--device", "cpu")
AVERAGED = ("--average-decay", "0.9")
CELL = 144  # pixels of a picture's long side on the sheet

Row = dict[str, tuple[object, ...]]


def rows(masks: Path) -> dict[str, Row]:
    """Return the words for each picture, by its label, for each row of the sheet."""
    night = ("-s", NIGHT)
    both, left, right = (masks / f"{name}.png" for name in ("both", "left", "right"))
    styles = ("-s", NIGHT, "-s", SCREAM)
    each = ("--style-mask", left, "--style-mask", right)
    return {
        "styles": {
            "--style": (*QUICK, *night),
            "another": (*QUICK, "-s", SCREAM),
            "a blend": (*QUICK, *styles),
            "=3 for one": (*QUICK, "-s", f"{NIGHT}=3", "-s", SCREAM),
            "--style-scale 0.5": (*QUICK, *night, "--style-scale", "0.5"),
            "--style-scale 2": (*QUICK, *night, "--style-scale", "2"),
        },
        "regions": {
            "--mask, two styles": (*QUICK, *styles, "--mask", both, *each),
            "--mask, one style": (*QUICK, *night, "--mask", masks / "white.png"),
            "--content-mask": (*QUICK, *night, "--content-mask", masks / "white.png"),
        },
        "--color": {
            name: (*QUICK, *night, "--color", name)
            for name in ("style", "photo", "luminance", "histogram", "covariance", "grey")
        },
        "--style-loss": {
            name: (*QUICK, *night, "--style-loss", name)
            for name in ("gram", "moments", "wasserstein", "sliced")
        }
        # Shifted copies need 128 pixels on each side.
        | {"shifted-gram": (*QUICK, *night, "--style-loss", "shifted-gram", "--size", "200")},
        "start": {
            "--init photo": (*QUICK, *night, "--init", "photo"),
            "--init recolored": (*QUICK, *night, "--init", "recolored"),
            "--init-noise 0.5": (*QUICK, *night, "--init-noise", "0.5"),
            "--init noise": (*QUICK, *night, "--init", "noise"),
            "--noise pink": (*QUICK, *night, "--init", "noise", "--noise", "pink"),
        },
        "finish": {
            "--histogram": (*QUICK, *night, "--histogram"),
            "--sharpen 1": (*QUICK, *night, "--sharpen", "1"),
            "adam": (*QUICK, *night, "--optimizer", "adam"),
            "--average-decay 0.9": (*QUICK, *night, "--optimizer", "adam", *AVERAGED),
        },
    }


def write_masks(folder: Path) -> None:
    """Write masks for the photo: two halves, each half alone, and a white face on black."""
    folder.mkdir(parents=True, exist_ok=True)
    height, width, _ = read(PHOTO).pixels.shape
    red, blue = np.float32([1, 0, 0]), np.float32([0, 0, 1])
    halves = np.where((np.arange(width) < width / 2)[None, :, None], red, blue)
    write(folder / "both.png", np.broadcast_to(halves, (height, width, 3)).copy())
    for name, colour, style in (("left", red, NIGHT), ("right", blue, SCREAM)):
        shape = read(style).pixels.shape
        write(folder / f"{name}.png", np.broadcast_to(colour, shape).copy())
    down, across = np.mgrid[:height, :width].astype(np.float32)
    away = np.hypot((down / height - 0.5) / 0.45, (across / width - 0.52) / 0.3)
    write(folder / "white.png", np.repeat((away < 1).astype(np.float32)[..., None], 3, axis=2))


def paint(picture: Path, words: tuple[object, ...]) -> None:
    """Paint the photo, unless the picture is there."""
    if picture.is_file():
        return
    command = [sys.executable, "-m", "nstbatch", "stylize", PHOTO, *words]
    subprocess.run([*map(str, command), "--no-defaults", "-o", str(picture)], check=True)


def main(folder: Path) -> None:
    """Paint everything and write the sheet."""
    write_masks(folder / "masks")
    sheet, headings = [], []
    for heading, row in rows(folder / "masks").items():
        cells = []
        for number, (label, words) in enumerate(row.items()):
            picture = folder / f"{heading.strip('-')}-{number}.png"
            paint(picture, words)
            cells.append(LabelledPicture(read(picture).pixels, label))
        sheet.append(cells)
        headings.append(heading)
    made = contact_sheet(sheet, row_headings=headings, cell_size=CELL)
    write(ROOT / "docs" / "images" / "options.jpg", made, quality=85)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
