"""Paints one photo with every preset, style loss and method, and makes docs/images/methods.jpg.

python docs/method_sheet.py FOLDER

Everything is as the preset or the default has it but the size, which is that of the sheet. It takes
twenty minutes on two cores, and goes on where it was interrupted, since FOLDER keeps the
pictures.
"""

from __future__ import annotations

import sys
from pathlib import Path

from option_sheet import NIGHT, ROOT, Row, paint

from nstbatch.runtime.checks import STYLE_LOSS_NAMES
from nstbatch.runtime.pictures.contact_sheet import LabelledPicture, contact_sheet
from nstbatch.runtime.pictures.images import read, write
from nstbatch.runtime.style.nearest_neighbor_presets import PRESETS as NNST_PRESETS
from nstbatch.runtime.style.style_transfer_presets import PRESET_NAMES

SIDE = 192  # pixels, of pictures and of cells
ACROSS = 4
COMMON = ("-s", NIGHT, "--size", str(SIDE))


def words() -> Row:
    """Return the words for each picture, by its label."""
    losses = (name for name in STYLE_LOSS_NAMES if name != "gram")  # which the default has
    return {
        **{f"--preset {name}": (*COMMON, "--preset", name) for name in PRESET_NAMES},
        **{f"--style-loss {name}": (*COMMON, "--style-loss", name) for name in losses},
        **{
            f"--method nnst, {name}": (*COMMON, "--method", "nnst", "--preset", name)
            for name in NNST_PRESETS
        },
    }


def main(folder: Path) -> None:
    """Paint everything and write the sheet."""
    folder.mkdir(parents=True, exist_ok=True)
    cells = []
    for label, each in words().items():
        picture = folder / f"{label.strip('-').replace(', ', '-').replace(' ', '-')}.png"
        paint(picture, each)
        cells.append(LabelledPicture(read(picture).pixels, label))
    rows = [cells[start : start + ACROSS] for start in range(0, len(cells), ACROSS)]
    sheet = contact_sheet(rows, cell_size=SIDE)
    write(ROOT / "docs" / "images" / "methods.jpg", sheet, quality=85)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
