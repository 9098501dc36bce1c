"""Pictures in terminals, by the escape sequences of three protocols.

Each function draws from the cursor to the right and down. Where the cursor then stands differs from
terminal to terminal, so whoever draws saves its place before.

- kitty: https://sw.kovidgoyal.net/kitty/graphics-protocol/
- iTerm2: https://iterm2.com/documentation-images.html
- sixel: VT330/VT340 Programmer Reference Manual, volume 2, chapter 14

No library has all three, and each is short: textual-image has kitty's and sixel, term-image kitty's
and iTerm2's.
"""

from __future__ import annotations

import base64
import io
import re
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

CHUNK = 4096
"""Characters in one escape sequence of kitty's protocol, at most: so the protocol says."""

# By eye, on brush strokes. More colours take longer to write, and a preview is small.
SIXEL_COLOURS = 128
JPEG_QUALITY = 85

BAND = 6
"""Rows of pixels in one line of sixels."""


class Protocol(StrEnum):
    """A protocol for pictures in a terminal."""

    KITTY = "kitty"
    ITERM2 = "iterm2"
    SIXEL = "sixel"


def kitty(image: Image, columns: int, rows: int, number: int) -> str:
    """Return the sequence that draws a picture over some cells.

    Args:
        image: The picture, RGB.
        columns: Width in cells, to which the terminal scales it.
        rows: Height in cells.
        number: Number of the picture, 1 to 2^32 - 1: it replaces an earlier one of this number.
    """
    text = _base64(image, "PNG")
    chunks = [text[start : start + CHUNK] for start in range(0, len(text), CHUNK)]
    # a=T: send and show; f=100: PNG; C=1: leave the cursor; q=2: no answers; m=1: more to come.
    about = f"a=T,f=100,i={number},p=1,c={columns},r={rows},C=1,q=2,"
    return "".join(
        f"\x1b_G{'' if index else about}m={int(index < len(chunks) - 1)};{chunk}\x1b\\"
        for index, chunk in enumerate(chunks)
    )


def iterm2(image: Image, columns: int, rows: int) -> str:
    """Return the sequence that draws a picture over some cells, to which the terminal scales it."""
    text = _base64(image, "JPEG")
    size = len(text) * 3 // 4 - text.count("=")
    about = f"inline=1;size={size};width={columns};height={rows};preserveAspectRatio=0"
    return f"\x1b]1337;File={about}:{text}\a"


def sixel(image: Image) -> str:
    """Return the sequence that draws a picture, RGB, pixel by pixel."""
    reduced = image.quantize(SIXEL_COLOURS)
    pixels = np.asarray(reduced)
    height, width = pixels.shape
    palette = np.array(reduced.getpalette()).reshape(-1, 3)
    colours = "".join(
        f"#{number};2;{';'.join(map(str, colour))}"
        for number, colour in enumerate(np.rint(palette / 2.55).astype(int))  # in percent
    )
    bands = (pixels[top : top + BAND] for top in range(0, height, BAND))
    # 1: pixels that are left out stay as they are. "1;1: pixels are square.
    return f'\x1bP0;1;0q"1;1;{width};{height}{colours}{"-".join(map(_band, bands))}\x1b\\'


def _band(pixels: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> str:
    """Return a line of sixels: for each colour in it, the pixels of that colour."""
    bits = (1 << np.arange(len(pixels)))[:, None]
    lines = []
    for colour in np.unique(pixels):
        columns = ((pixels == colour) * bits).sum(axis=0) + ord("?")
        line = columns.astype(np.uint8).tobytes().decode("ascii")
        lines.append(f"#{colour}{_LONG_RUN.sub(_run, line)}")
    return "$".join(lines)


# A run of three is as short as its abbreviation, "!3?".
_LONG_RUN = re.compile(r"(.)\1{3,}")


def _run(match: re.Match[str]) -> str:
    return f"!{len(match[0])}{match[1]}"


def _base64(image: Image, kind: str) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=JPEG_QUALITY)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
