"""Paints examples/ with every preset, and makes docs/images/presets.jpg and a table of the losses.

python docs/preset_sheet.py FOLDER

Takes an hour on two cores. It goes on where it was interrupted, since FOLDER keeps the pictures.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from nstbatch.runtime.pictures.contact_sheet import LabelledPicture, contact_sheet
from nstbatch.runtime.pictures.images import read, write
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
from nstbatch.runtime.style.style_transfer_presets import PRESET_NAMES
from nstbatch.runtime.systems.style_transfer import StyleTransfer

ROOT = Path(__file__).parents[1]
PHOTOS, STYLES = ROOT / "examples" / "photos", ROOT / "examples" / "styles"
CELL = 160  # pixels of a picture's long side on the sheet


def paint(folder: Path, preset: str, style: Path) -> None:
    """Paint all photos; those that are done already are kept."""
    words = ["stylize", PHOTOS, "--style", style, "--preset", preset, "--format", "png"]
    command = [sys.executable, "-m", "nstbatch", *map(str, words), "-o", str(folder)]
    subprocess.run(command, check=True)


def seconds_of(folder: Path) -> dict[str, float]:
    """Return the seconds that each picture took, by the stem of its photo."""
    lines = [json.loads(line) for line in (folder / "nstbatch.jsonl").read_text().splitlines()]
    done = (line for line in lines if line.get("status") == "done")
    return {Path(line["input"]).stem: line["seconds"] for line in done}


def loss_of(transfer: StyleTransfer, painted: Path, photo: Path, style: Path) -> float:
    """Return the total loss of a picture by the default's objective, at the picture's size."""
    height, width, _ = read(painted).pixels.shape
    options = StyleTransferOptions(size=max(height, width), scales=1, init="image")
    result = transfer(photo, style, options, init_image=painted, stop=lambda: True)
    return result.losses["total"]


def main(folder: Path) -> None:
    """Paint everything, write the sheet, and print the table as Markdown."""
    transfer = StyleTransfer("vgg16", device="cpu", precision="fp32")
    photos, styles = sorted(PHOTOS.glob("*.jpg")), sorted(STYLES.glob("*.jpg"))
    rows, headings = [], []
    print("| painting | preset | " + " | ".join(photo.stem for photo in photos) + " |")
    print("|---|---|" + "---|" * len(photos))
    for style in styles:
        for preset in PRESET_NAMES:
            place = folder / preset / style.stem
            paint(place, preset, style)
            seconds = seconds_of(place)
            pictures = [place / f"{photo.stem}.png" for photo in photos]
            rows.append([LabelledPicture(read(picture).pixels) for picture in pictures])
            headings.append(preset)
            cells = (
                f"{loss_of(transfer, picture, photo, style):.2f}, {seconds[photo.stem]:.0f} s"
                for picture, photo in zip(pictures, photos, strict=True)
            )
            print(f"| {style.stem} | {preset} | " + " | ".join(cells) + " |", flush=True)
    sheet = contact_sheet(rows, row_headings=headings, cell_size=CELL)
    write(ROOT / "docs" / "images" / "presets.jpg", sheet, quality=80)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
