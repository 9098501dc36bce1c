"""Reads how large a picture file is, without decoding it."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from .content import Content


def dimensions(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Return the height and width of a picture file as it is stored; None if its head tells none.

    A photo that is to be turned upright may have the two exchanged. Pillow reads the head, since
    libvips would read all of a JPEG for it. Pillow takes the thumbnail of a raw file for the photo.
    """
    from PIL import Image

    if not Path(path).is_file():  # opening a pipe would wait for its other end
        return None
    try:
        if Content(Path(path)).kind in (None, "RAW"):
            return None
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            return image.height, image.width
    except Exception:  # Pillow's readers raise many kinds; decoding will say what is wrong
        return None
