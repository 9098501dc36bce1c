"""The largest picture that is read: a file of a few kilobytes can claim any number of pixels."""

from __future__ import annotations

import math

from PIL import Image

from nstbatch.runtime.errors import ImageError


def set_max_pixels(pixels: int) -> None:
    """Set the largest number of pixels of a picture that this process reads.

    It is Pillow's own setting, ``PIL.Image.MAX_IMAGE_PIXELS``, so there is one limit for all
    readers. By default it is 89,478,485 pixels, which is 256 MB with 3 bytes each.
    """
    Image.MAX_IMAGE_PIXELS = pixels


def check_size(width: int, height: int) -> None:
    """Refuse a picture by the size that its header gives.

    Raises:
        ImageError: It has no pixels, or more than the limit.
    """
    pixels = math.prod((width, height))
    if not pixels:
        raise ImageError("The picture has no pixels.")
    if Image.MAX_IMAGE_PIXELS is not None and pixels > Image.MAX_IMAGE_PIXELS:
        raise too_large(f"{pixels:,}")


def too_large(pixels: str) -> ImageError:
    """The error for a picture with so many pixels."""
    return ImageError(
        f"The picture has {pixels} pixels, too many to be read safely: the limit is "
        f"{Image.MAX_IMAGE_PIXELS:,}. If it is a photo and no decompression bomb, raise the limit "
        "with --max-pixels (in Python with PIL.Image.MAX_IMAGE_PIXELS)."
    )
