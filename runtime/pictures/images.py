"""Pictures in and out: any common file to float32 sRGB, and back to disk whole or not at all.

Inside the project a picture is a :class:`Picture`: upright, sRGB, float32 in [0, 1], its alpha
apart. Whatever is wrong with a file becomes an :class:`~nstbatch.runtime.errors.ImageError` whose
text is the reason, without the path.
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
    """A picture as the runtime works on it.

    Fully transparent pixels hold no hidden colour: they take the mean of the visible ones.
    """

    pixels: NDArray[np.float32]
    """(H, W, 3), sRGB (gamma-encoded) in [0, 1]."""

    alpha: NDArray[np.float32] | None = None
    """(H, W), opacity in [0, 1]; None when the file had no transparency."""

    def alpha_at(self, size: tuple[int, ...]) -> NDArray[np.float32] | None:
        """Return the alpha at another size, (height, width); None where there is none."""
        return None if self.alpha is None else resize(self.alpha, (size[0], size[1]))


ImageLike: TypeAlias = str | os.PathLike[str] | NDArray[np.floating] | Picture
"""What the library takes for a picture: a path, or an array (H, W, 3), RGB in [0, 1]."""


def as_picture(image: ImageLike) -> Picture:
    """A path or an array as a :class:`Picture`.

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
        raise ImageError("An array must hold finite numbers in [0, 1], and at least one.")
    return Picture(np.ascontiguousarray(image, dtype=np.float32))


# --- Reading ----------------------------------------------------------------------------------

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".avif", ".bmp", ".gif"})
"""The suffixes, in lower case, of the files that :func:`read` is meant for."""


def read(path: str | os.PathLike[str], *, at_least: int | None = None) -> Picture:
    """Read a picture of any kind in :data:`SUFFIXES`: upright, in sRGB, with its transparency.

    Of an animation or a multi-page file, the first picture. An embedded ICC profile is applied
    (relative colorimetric, with black point compensation); CMYK without one is converted by
    Pillow's formula. 16-bit samples keep their precision, unless a profile has to be applied that
    is more than curves and a matrix.

    Args:
        path: The file.
        at_least: Settle for a smaller picture, where the format can be decoded to one in a
            fraction of the time (JPEG), but none with a side below that: for thumbnails.

    Raises:
        ImageError: The file is missing, unreadable, no picture, damaged, cut short, or has more
            pixels than ``PIL.Image.MAX_IMAGE_PIXELS`` (found out before anything is decoded).
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
    """Say what is wrong with a file that no decoder needs to look at."""
    if stat.S_ISDIR(status.st_mode):
        raise ImageError("This is a folder, not a picture.")
    if not stat.S_ISREG(status.st_mode):  # a pipe would keep the batch waiting
        raise ImageError("This is not a regular file.")
    if status.st_size == 0:
        raise ImageError("The file is empty (0 bytes).")


def _without_hidden_colours(
    pixels: NDArray[np.float32], alpha: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Give fully transparent pixels the mean visible colour: what they hold is an accident.

    The networks see the picture without its alpha, and resizing mixes neighbours; a flat colour
    out of the picture itself adds neither edges nor a new hue. White where nothing is visible.
    """
    if alpha is None or (alpha > 0).all():
        return np.ascontiguousarray(pixels)
    colours, weights = pixels.reshape(-1, 3), alpha.reshape(-1)
    mean = np.average(colours, axis=0, weights=weights) if weights.any() else np.ones(3)
    return np.where(alpha[..., None] > 0, pixels, mean.astype(np.float32))


# --- Writing ----------------------------------------------------------------------------------


WRITABLE_SUFFIXES = tuple(FORMATS)
"""The suffixes, in lower case, that :func:`write` knows."""


def write(
    path: str | os.PathLike[str],
    pixels: NDArray[np.float32],
    alpha: NDArray[np.float32] | None = None,
    *,
    metadata: Metadata | None = None,
    quality: int | None = None,
) -> None:
    """Write a picture in the format of the path's suffix.

    The file appears under its name only when it is complete and on disk; until then, and after a
    failure, whatever had that name before is untouched. JPEG has no transparency: there the
    picture is laid on white.

    Args:
        path: Ends in one of :data:`WRITABLE_SUFFIXES`; its folder exists.
        pixels: (H, W, 3), sRGB; values outside [0, 1] are clipped.
        alpha: (H, W), opacity; None for an opaque picture.
        metadata: What else goes into the file, and how many bits its samples have; None for
            nothing, and 8. See :func:`nstbatch.runtime.pictures.metadata.read_metadata`.
        quality: Of JPEG, WebP and AVIF, from 1 to 100; None for the format's own: 95, 95, 90.

    Raises:
        ImageError: An unknown suffix, values that are not finite, a picture that the format
            cannot hold, a folder that is missing or cannot be written to, a full disk.
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
    """The bytes of the file that :func:`write` writes under a name with this suffix.

    Raises:
        ImageError: An unknown suffix, values that are not finite, a picture that the format
            cannot hold.
    """
    target = _format(suffix)
    _check_values(pixels, alpha)
    return encoding.encode(pixels, alpha, target, metadata or Metadata(), quality)


def _format(suffix: str) -> Format:
    try:
        return FORMATS[suffix.lower()]
    except KeyError:
        known = ", ".join(WRITABLE_SUFFIXES)
        message = f"No picture can be written as {suffix!r}; these suffixes are known: {known}."
        raise ImageError(message) from None


def _check_values(pixels: NDArray[np.float32], alpha: NDArray[np.float32] | None) -> None:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise ImageError(f"A picture has the shape (H, W, 3), this one has {pixels.shape}.")
    if alpha is not None and alpha.shape != pixels.shape[:2]:
        raise ImageError(f"An alpha of {alpha.shape} does not fit a picture of {pixels.shape}.")
    if not np.isfinite(pixels).all() or (alpha is not None and not np.isfinite(alpha).all()):
        raise ImageError("The picture has values that are not finite.")
