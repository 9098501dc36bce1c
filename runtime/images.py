"""Pictures in and out: any common file to float32 sRGB, and back to disk whole or not at all.

Inside the project a picture is a :class:`Picture`: upright, sRGB, float32 in [0, 1], its alpha
apart. Whatever is wrong with a file becomes an :class:`~nstbatch.runtime.errors.ImageError` whose
text is the reason, without the path.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .decoding import decode
from .errors import ImageError
from .files import write_atomically


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as the runtime works on it.

    Fully transparent pixels hold no hidden colour: they take the mean of the visible ones.
    """

    pixels: NDArray[np.float32]
    """(H, W, 3), sRGB (gamma-encoded) in [0, 1]."""

    alpha: NDArray[np.float32] | None = None
    """(H, W), opacity in [0, 1]; None when the file had no transparency."""


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
    Pillow's formula. 16-bit samples keep their precision unless a profile has to be applied.

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


@dataclass(frozen=True)
class _Format:
    name: str
    keeps_alpha: bool = True
    options: Mapping[str, object] = field(default_factory=dict)


# Quality 95: Pillow's documentation calls more than that a larger file for hardly any gain.
# 4:4:4, as halved colour resolution smears the saturated edges of brush strokes.
_JPEG = _Format("JPEG", keeps_alpha=False, options={"quality": 95, "subsampling": "4:4:4"})
# Predictor 2 (tag 317, differences between neighbours) halves what deflate makes of a picture.
_TIFF = _Format("TIFF", options={"compression": "tiff_adobe_deflate", "tiffinfo": {317: 2}})
_FORMATS: Mapping[str, _Format] = MappingProxyType(
    {
        ".jpg": _JPEG,
        ".jpeg": _JPEG,
        ".png": _Format("PNG"),
        ".webp": _Format("WEBP", options={"quality": 95}),
        ".tif": _TIFF,
        ".tiff": _TIFF,
        ".avif": _Format("AVIF", options={"quality": 90, "subsampling": "4:4:4"}),  # 90: a guess
    }
)

WRITABLE_SUFFIXES = tuple(_FORMATS)
"""The suffixes, in lower case, that :func:`write` knows."""


def write(
    path: str | os.PathLike[str],
    pixels: NDArray[np.float32],
    alpha: NDArray[np.float32] | None = None,
) -> None:
    """Write a picture, 8 bits a sample, in the format of the path's suffix.

    The file appears under its name only when it is complete and on disk; until then, and after a
    failure, whatever had that name before is untouched. JPEG has no transparency: there the
    picture is laid on white.

    Args:
        path: Ends in one of :data:`WRITABLE_SUFFIXES`; its folder exists.
        pixels: (H, W, 3), sRGB; values outside [0, 1] are clipped.
        alpha: (H, W), opacity; None for an opaque picture.

    Raises:
        ImageError: An unknown suffix, values that are not finite, a picture that the format
            cannot hold, a folder that is missing or cannot be written to, a full disk.
    """
    path = Path(path)
    encoded = _encode(pixels, alpha, _format(path.suffix))
    try:
        write_atomically(path, encoded)
    except OSError as error:
        raise ImageError(f"The picture cannot be written: {error.strerror}.") from error


def _format(suffix: str) -> _Format:
    try:
        return _FORMATS[suffix.lower()]
    except KeyError:
        known = ", ".join(WRITABLE_SUFFIXES)
        message = f"No picture can be written as {suffix!r}; these suffixes are known: {known}."
        raise ImageError(message) from None


def _encode(
    pixels: NDArray[np.float32], alpha: NDArray[np.float32] | None, target: _Format
) -> bytes:
    _check_values(pixels, alpha)
    if alpha is not None:
        pixels = np.dstack([pixels, alpha]) if target.keeps_alpha else _on_white(pixels, alpha)
    levels = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    buffer = io.BytesIO()
    try:
        Image.fromarray(levels).save(buffer, format=target.name, **target.options)
    except (OSError, ValueError) as error:
        height, width = levels.shape[:2]
        message = f"{target.name} cannot hold this picture of {width}x{height}: {error}."
        raise ImageError(message) from error
    return buffer.getvalue()


def _check_values(pixels: NDArray[np.float32], alpha: NDArray[np.float32] | None) -> None:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise ImageError(f"A picture has the shape (H, W, 3), this one has {pixels.shape}.")
    if alpha is not None and alpha.shape != pixels.shape[:2]:
        raise ImageError(f"An alpha of {alpha.shape} does not fit a picture of {pixels.shape}.")
    if not np.isfinite(pixels).all() or (alpha is not None and not np.isfinite(alpha).all()):
        raise ImageError("The picture has values that are not finite.")


def _on_white(pixels: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    opacity = alpha[..., None]
    return pixels * opacity + (1 - opacity)


# --- Sizes and layouts ------------------------------------------------------------------------


def resize(pixels: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Resample to (height, width): area averages to shrink, bicubic to enlarge, clipped to [0, 1].

    Each axis by itself, so that a picture made taller and narrower is antialiased too.

    Args:
        pixels: (H, W, C), or (H, W) for an alpha, in [0, 1].
        size: The new height and width, both at least 1.
    """
    height, width = size
    shrunk = (min(width, pixels.shape[1]), min(height, pixels.shape[0]))
    small = cv2.resize(np.ascontiguousarray(pixels), shrunk, interpolation=cv2.INTER_AREA)
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    # cv2 drops a channel axis of length one.
    return np.clip(large, 0, 1).astype(np.float32).reshape(height, width, *pixels.shape[2:])


def fit_long_side(height: int, width: int, size: int) -> tuple[int, int]:
    """The (height, width) of the same proportions whose long side is ``size``, neither below 1."""
    long_side = max(height, width)
    return max(1, round(height * size / long_side)), max(1, round(width * size / long_side))


def to_nchw(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W, 3) to a contiguous batch of one, (1, 3, H, W)."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def from_nchw(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """A batch of one, (1, 3, H, W), to a contiguous (H, W, 3).

    Raises:
        ValueError: More or less than one image.
    """
    if image.shape[0] != 1:
        raise ValueError(f"Expected one image, got a batch of {image.shape[0]}.")
    return np.ascontiguousarray(image[0].transpose(1, 2, 0))
