"""Pictures that Pillow holds, as libvips' own: images in memory, and formats only Pillow reads."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageOps

from nstbatch.runtime.errors import ImageError

from . import libvips
from .srgb import PROFILE

# Pillow's modes with 32 bits a sample: integers or floats without a defined white.
_NO_WHITE = {"I", "F"}

_INTERPRETATIONS = {
    "L": "b-w",
    "LA": "b-w",
    "RGB": "srgb",
    "RGBA": "srgb",
    "CMYK": "cmyk",
}

# warnings.catch_warnings changes state of the whole process, so only one reader may use it at a
# time.
_MUTED = threading.Lock()

# Pillow logs some of the errors that it raises; without any handler, logging prints them on stderr.
logging.getLogger("PIL").addHandler(logging.NullHandler())


def from_pillow(image: Image.Image, *, is_upright: bool = False) -> libvips.Image:
    """An upright copy of a PIL image, as precise as Pillow holds it.

    Args:
        image: The image; its EXIF may say that it lies.
        is_upright: True if it stands upright, whatever its EXIF says.

    Raises:
        ImageError: It has a mode without a white.
    """
    is_12_bit = any("I;12" in str(tile.args) for tile in getattr(image, "tile", ()))
    upright = image if is_upright else ImageOps.exif_transpose(image)
    if upright.mode in _NO_WHITE:
        raise ImageError(f"32-bit samples (mode {upright.mode}) have no defined white.")
    if upright.mode.startswith("I;16"):
        grey = np.asarray(upright).astype(np.uint16)[..., None]
        made = libvips.from_levels(grey * np.uint16(16) if is_12_bit else grey, "grey16")
    else:
        plain = upright.convert(_plain_mode(upright))
        levels = np.asarray(plain, np.uint8).reshape(plain.height, plain.width, -1)
        made = libvips.from_levels(levels, _INTERPRETATIONS[plain.mode])
    if profile := image.info.get("icc_profile"):
        libvips.put_blob(made, PROFILE, profile)
    return made


def _plain_mode(image: Image.Image) -> str:
    """The mode that holds all of a picture's content, of those that libvips has as well."""
    is_grey = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:  # also that of a palette, or of one colour
        return "LA" if is_grey else "RGBA"
    if is_grey:
        return "L"
    return "CMYK" if image.mode == "CMYK" else "RGB"


@contextmanager
def muted() -> Iterator[None]:
    """Suppress Pillow's warnings."""
    with _MUTED, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
