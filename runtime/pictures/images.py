"""Reads any common picture file to float32 sRGB, and writes pictures atomically.

Inside the project a picture is a :class:`Picture`: upright, sRGB, float32 in [0, 1], with a
separate alpha. Every problem with a file becomes an :class:`~nstbatch.runtime.errors.ImageError`
whose text is the reason, without the path.
"""

from __future__ import annotations

import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nstbatch.runtime.checks import whole
from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.files import write_atomically
from nstbatch.runtime.formats import encoding
from nstbatch.runtime.formats.content import Content
from nstbatch.runtime.formats.decoding import decode, decode_image
from nstbatch.runtime.formats.encoding import FORMATS, Format
from nstbatch.runtime.formats.metadata import Metadata
from nstbatch.runtime.formats.picture_options import QUALITIES, SUFFIXES_OF_EXTRAS
from nstbatch.runtime.formats.srgb import Samples
from nstbatch.runtime.storage.addresses import RemotePath
from nstbatch.runtime.storage.local_copies import local_copy

from .samples import (
    OVERSHOOT,
    ROUNDING,
    SupportsArray,
    SupportsDLPack,
    is_array,
    opacity,
    refused,
    samples,
)
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


ImageLike: TypeAlias = (
    str
    | os.PathLike[str]
    | BinaryIO
    | Image.Image
    | NDArray[np.floating]
    | NDArray[np.unsignedinteger]
    | SupportsArray
    | SupportsDLPack
    | Picture
)
"""A picture as the library takes it: a path, a file opened in binary mode, a PIL image, an array of
:func:`.samples.samples`, an object that can become one, or a :class:`Picture`."""


# A photo that is to be resized is read at twice that size or more, so it loses nothing that the
# resized one would show: area averages take in four of its pixels. A guess, on the safe side.
_SPARE = 2


def as_picture(image: ImageLike, size: int | str | None = None) -> Picture:
    """Turn any picture that the library takes into a :class:`Picture`.

    A :class:`Picture` in order is returned itself. A PIL image is turned upright and to sRGB.

    Args:
        image: The picture.
        size: The long side that the caller resizes it to; a word or None for its own. A file whose
            short side is at least four times as long is read at a fraction, and still at twice this
            size.

    Raises:
        ImageError: It cannot be read, or is not of the accepted kinds; the message says which.
    """
    return read(image, at_least=_SPARE * size if isinstance(size, int) else None)


# --- Reading ----------------------------------------------------------------------------------

SUFFIXES = frozenset({*FORMATS, ".bmp", ".gif", *SUFFIXES_OF_EXTRAS})
"""The suffixes, in lower case, of the files that :func:`read` accepts."""


def read(image: ImageLike, *, at_least: int | None = None) -> Picture:
    """Read a picture in any format of :data:`SUFFIXES`: upright, in sRGB, with its transparency.

    The content decides the format. An animation or a multi-page file gives its first picture. An
    embedded ICC profile is applied (relative colorimetric, with black point compensation); CMYK
    without a profile is converted as web browsers do. 16-bit samples keep their precision. HEIC,
    JPEG XL and raw files need the extras ``heic``, ``jxl`` and ``raw``.

    Args:
        image: The file, by its path or open; or a picture in memory, see :data:`ImageLike`.
        at_least: Accept a reduced picture, with no side below this many pixels, if the file has
            twice as many or more. That takes a fraction of the memory, and of a JPEG's time.

    Raises:
        ImageError: The file is missing, unreadable, no picture, damaged, cut short, or has more
            pixels than ``PIL.Image.MAX_IMAGE_PIXELS`` (which is checked before decoding); or it
            needs an extra that is not installed; or the picture in memory is not of the accepted
            kinds.
    """
    pixels, alpha = _samples(image, at_least)
    if isinstance(image, Picture):
        same = pixels is image.pixels and alpha is image.alpha
        return image if same else Picture(pixels, alpha)
    return Picture(_without_hidden_colours(pixels, alpha), alpha)


def check_whole(path: str | os.PathLike[str]) -> None:
    """Decode a file to see whether it is whole: a JPEG at a fraction of its size, which is quick.

    Raises:
        ImageError: See :func:`read`.
    """
    read(path, at_least=1)


def _samples(image: object, at_least: int | None = None, slack: float = ROUNDING) -> Samples:
    """Return the samples of any picture; floats may lie outside [0, 1] by ``slack``."""
    if isinstance(image, Picture):
        return _with_alpha(*samples(image.pixels, slack), image.alpha, slack)
    if isinstance(image, str | os.PathLike):
        return _read_file(image, at_least)
    if isinstance(image, Image.Image):
        return decode_image(image)
    if is_array(image):
        return samples(image, slack)
    if hasattr(image, "read"):
        return decode(_contents(image), at_least)
    raise refused(image)


def _with_alpha(
    pixels: NDArray[np.float32], own: NDArray[np.float32] | None, alpha: object, slack: float
) -> Samples:
    """Give a picture an opacity, if there is one, unless it has its own."""
    if alpha is None:
        return pixels, own
    if own is not None:
        raise ImageError("The picture has an opacity of its own; leave the other alpha out.")
    return pixels, opacity(alpha, pixels.shape, slack)


def _read_file(path: str | os.PathLike[str], at_least: int | None) -> Samples:
    found = path if isinstance(path, RemotePath) else _path(path)
    try:
        with local_copy(found) as file:
            _check_file(file.stat())
            file.open("rb").close()  # libvips does not say why it cannot open a file
            return decode(Content(file), at_least)
    except OSError as error:
        raise ImageError(f"The file cannot be read: {error.strerror}.") from error
    except ValueError as error:  # a name that no file can have
        raise ImageError(f"The file cannot be read: {error}.") from error


def _path(path: str | os.PathLike[str]) -> Path:
    try:
        return Path(os.fsdecode(path))
    except TypeError as error:
        raise ImageError(f"The path must be a str or an os.PathLike, not {path!r}.") from error


def _contents(file: Any) -> Content:
    """All of an open file, from its beginning if it can go back."""
    try:
        if isinstance(file, io.TextIOBase):
            raise ImageError("The file must be opened in binary mode ('rb').")
        if hasattr(file, "seekable") and file.seekable():
            file.seek(0)
        data = bytes(file.read())
    except (OSError, TypeError, ValueError) as error:  # closed, text, not open for reading
        raise ImageError(f"The file cannot be read: {error}.") from error
    if not data:
        raise ImageError("The file is empty (0 bytes).")
    return Content(data=data)


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
    pixels: ImageLike,
    alpha: SupportsArray | SupportsDLPack | None = None,
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
        pixels: (H, W, 3), sRGB, or any other :data:`ImageLike`; floats outside [0, 1] are clipped.
        alpha: (H, W), opacity; None for an opaque picture, or one with its own opacity.
        metadata: The metadata to write, and the bits of each sample; None for no metadata and 8
            bits. See :func:`nstbatch.runtime.formats.metadata.read_metadata`.
        quality: Quality of JPEG, WebP and AVIF, from 1 to 100; None for the format's default: 95,
            95 and 90.

    Raises:
        ImageError: The suffix is unknown, values are not finite or far outside [0, 1], the picture
            is not of the accepted kinds, the format cannot hold it, the folder is missing or not
            writable, or the disk is full.
        UsageError: The quality is out of range.
    """
    path = _path(path)
    data = encode(path.suffix, pixels, alpha, metadata=metadata, quality=quality)
    try:
        write_atomically(path, data, modified_ns=metadata.modified_ns if metadata else None)
    except OSError as error:
        raise ImageError(f"The picture cannot be written: {error.strerror}.") from error


def encode(
    suffix: str,
    pixels: ImageLike,
    alpha: SupportsArray | SupportsDLPack | None = None,
    *,
    metadata: Metadata | None = None,
    quality: int | None = None,
) -> bytes:
    """The bytes of the file that :func:`write` writes to a path with this suffix.

    Raises:
        ImageError, UsageError: See :func:`write`.
    """
    target = _format(suffix)
    if quality is not None:
        whole("quality", quality, QUALITIES[0], QUALITIES[-1])
    colours, opaqueness = _with_alpha(*_samples(pixels, slack=OVERSHOOT), alpha, OVERSHOOT)
    return encoding.encode(colours, opaqueness, target, metadata or Metadata(), quality)


def _format(suffix: str) -> Format:
    try:
        return FORMATS[suffix.lower()]
    except KeyError:
        known = ", ".join(WRITABLE_SUFFIXES)
        message = f"No picture can be written as {suffix!r}; use one of these suffixes: {known}."
        raise ImageError(message) from None
