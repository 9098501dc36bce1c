"""Reads any common picture file to float32 sRGB, and writes pictures atomically.

Inside the project a picture is a :class:`Picture`: upright, sRGB, float32 in [0, 1], with a
separate alpha. Every problem with a file becomes an :class:`~nstbatch.runtime.errors.ImageError`
whose text is the reason, without the path.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.files import write_atomically

from . import encoding
from .decoding import decode
from .encoding import FORMATS, Format
from .metadata import Metadata
from .sizes import resize


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as the runtime uses it.

    Fully transparent pixels do not keep their hidden colours: they have the mean visible colour.
    """

    pixels: NDArray[np.float32]
    """(H, W, 3), sRGB (gamma-encoded) in [0, 1]."""

    alpha: NDArray[np.float32] | None = None
    """(H, W), opacity in [0, 1]; None if the file had no transparency."""

    def alpha_at(self, size: tuple[int, ...]) -> NDArray[np.float32] | None:
        """Return the alpha at another size, (height, width); None for an opaque picture."""
        return None if self.alpha is None else resize(self.alpha, (size[0], size[1]))


ImageLike: TypeAlias = str | os.PathLike[str] | NDArray[np.floating] | Picture
"""A picture as the library accepts it: a path, an array (H, W, 3), RGB in [0, 1], or a Picture."""


def as_picture(image: ImageLike) -> Picture:
    """Turn a path or an array into a :class:`Picture`.

    Raises:
        ImageError: The file cannot be read, or the array is not (H, W, 3) of finite numbers in
            [0, 1].
    """
    if isinstance(image, Picture):
        return image
    if not isinstance(image, np.ndarray):
        return read(image)
    if image.ndim != 3 or image.shape[2] != 3 or not np.issubdtype(image.dtype, np.floating):
        raise ImageError(
            f"An array must be (H, W, 3) of floats in [0, 1], not {image.shape} of {image.dtype}."
        )
    if image.size == 0 or not (image.min() >= 0 and image.max() <= 1):
        raise ImageError("An array must hold finite numbers in [0, 1] and must not be empty.")
    return Picture(np.ascontiguousarray(image, dtype=np.float32))


# --- Reading ----------------------------------------------------------------------------------

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".avif", ".bmp", ".gif"})
"""The suffixes, in lower case, of the files that :func:`read` accepts."""


def read(path: str | os.PathLike[str], *, at_least: int | None = None) -> Picture:
    """Read a picture in any format of :data:`SUFFIXES`: upright, in sRGB, with its transparency.

    An animation or a multi-page file gives its first picture. An embedded ICC profile is applied
    (relative colorimetric, with black point compensation); CMYK without a profile is converted by
    Pillow's formula. 16-bit samples keep their precision, unless the file's profile is more than
    curves and a matrix.

    Args:
        path: The file.
        at_least: Accept a reduced picture, with no side below this many pixels, if the format can
            decode to one in a fraction of the time (JPEG). Meant for thumbnails.

    Raises:
        ImageError: The file is missing, unreadable, no picture, damaged, cut short, or has more
            pixels than ``PIL.Image.MAX_IMAGE_PIXELS`` (which is checked before decoding).
    """
    path = Path(path)
    try:
        _check_file(path.stat())
        with path.open("rb") as file:
            pixels, alpha = decode(file, at_least)
    except OSError as error:
        raise ImageError(f"The file cannot be read: {error.strerror}.") from error
    return Picture(_without_hidden_colours(pixels, alpha), alpha)


def _check_file(status: os.stat_result) -> None:
    """Refuse a file that is not worth giving to a decoder."""
    if stat.S_ISDIR(status.st_mode):
        raise ImageError("This is a folder, not a picture.")
    if not stat.S_ISREG(status.st_mode):  # a pipe would keep the batch waiting
        raise ImageError("This is not a regular file.")
    if status.st_size == 0:
        raise ImageError("The file is empty (0 bytes).")


def _without_hidden_colours(
    pixels: NDArray[np.float32], alpha: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Replace the arbitrary colours of fully transparent pixels with the mean visible colour.

    The networks see the picture without its alpha, and resizing mixes neighbours; a flat colour
    from the picture itself adds neither edges nor a new hue. A picture without visible pixels
    becomes white.
    """
    if alpha is None or (alpha > 0).all():
        return np.ascontiguousarray(pixels)
    colours, weights = pixels.reshape(-1, 3), alpha.reshape(-1)
    mean = np.average(colours, axis=0, weights=weights) if weights.any() else np.ones(3)
    return np.where(alpha[..., None] > 0, pixels, mean.astype(np.float32))


# --- Writing ----------------------------------------------------------------------------------


WRITABLE_SUFFIXES = tuple(FORMATS)
"""The suffixes, in lower case, that :func:`write` accepts."""


def write(
    path: str | os.PathLike[str],
    pixels: NDArray[np.float32],
    alpha: NDArray[np.float32] | None = None,
    *,
    metadata: Metadata | None = None,
    quality: int | None = None,
) -> None:
    """Write a picture in the format of the path's suffix.

    The file appears under its name only when it is complete and on disk. Until then, and after a
    failure, an existing file of that name stays as it is. JPEG has no transparency, so a picture
    with alpha is blended onto white there.

    Args:
        path: Must end in one of :data:`WRITABLE_SUFFIXES`, and its folder must exist.
        pixels: (H, W, 3), sRGB; values outside [0, 1] are clipped.
        alpha: (H, W), opacity; None for an opaque picture.
        metadata: The metadata to write, and the bits of each sample; None for no metadata and 8
            bits. See :func:`nstbatch.runtime.pictures.metadata.read_metadata`.
        quality: Quality of JPEG, WebP and AVIF, from 1 to 100; None for the format's default: 95,
            95 and 90.

    Raises:
        ImageError: The suffix is unknown, values are not finite, the format cannot hold the
            picture, the folder is missing or not writable, or the disk is full.
    """
    path = Path(path)
    data = encode(path.suffix, pixels, alpha, metadata=metadata, quality=quality)
    try:
        write_atomically(path, data, modified_ns=metadata.modified_ns if metadata else None)
    except OSError as error:
        raise ImageError(f"The picture cannot be written: {error.strerror}.") from error


def encode(
    suffix: str,
    pixels: NDArray[np.float32],
    alpha: NDArray[np.float32] | None = None,
    *,
    metadata: Metadata | None = None,
    quality: int | None = None,
) -> bytes:
    """The bytes of the file that :func:`write` writes to a path with this suffix.

    Raises:
        ImageError: The suffix is unknown, values are not finite, or the format cannot hold the
            picture.
    """
    target = _format(suffix)
    _check_values(pixels, alpha)
    return encoding.encode(pixels, alpha, target, metadata or Metadata(), quality)


def _format(suffix: str) -> Format:
    try:
        return FORMATS[suffix.lower()]
    except KeyError:
        known = ", ".join(WRITABLE_SUFFIXES)
        message = f"No picture can be written as {suffix!r}; use one of these suffixes: {known}."
        raise ImageError(message) from None


def _check_values(pixels: NDArray[np.float32], alpha: NDArray[np.float32] | None) -> None:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise ImageError(f"A picture must have the shape (H, W, 3), not {pixels.shape}.")
    if alpha is not None and alpha.shape != pixels.shape[:2]:
        raise ImageError(f"An alpha of {alpha.shape} does not fit a picture of {pixels.shape}.")
    if not np.isfinite(pixels).all() or (alpha is not None and not np.isfinite(alpha).all()):
        raise ImageError("The picture has values that are not finite.")
