"""A small picture of smooth colours, and what encodes and decodes it in tests."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from nstbatch.runtime.formats.content import Content
from nstbatch.runtime.formats.decoding import decode
from nstbatch.runtime.formats.srgb import Samples

HEIGHT, WIDTH = 40, 56
ROWS, COLUMNS = np.mgrid[0:HEIGHT, 0:WIDTH]
# A different ramp in each channel, so that transposed pictures and swapped channels are noticed.
SMOOTH = np.stack([COLUMNS / WIDTH, ROWS / HEIGHT, (ROWS + COLUMNS) / (HEIGHT + WIDTH)], axis=-1)
LEVELS = np.rint(SMOOTH * 255).astype(np.uint8)
DEEP = np.rint(SMOOTH * 65535).astype(np.uint16)
RGB = Image.fromarray(LEVELS)

LOSSLESS = 1e-6


def decode_bytes(data: bytes) -> Samples:
    return decode(Content(data=data))


def encode(image: Image.Image, name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()
