"""Decodes an open picture file to upright sRGB samples; every failure becomes an ImageError.

Pillow decodes. This module adds colour profiles, 16-bit colour (which Pillow cuts to 8 bits),
transparency in all its forms, and a single error type.
"""

from __future__ import annotations

import ctypes
import io
import logging
import math
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import (
    ExifTags,
    Image,
    ImageCms,
    ImageFile,
    ImageOps,
    UnidentifiedImageError,
    _imaging,
)
from PIL.TiffImagePlugin import TiffImageFile

from nstbatch.runtime.errors import ImageError

from . import icc

Samples = tuple[NDArray[np.float32], NDArray[np.float32] | None]
"""Colours (H, W, 3), and opacity (H, W) or None without transparency; all in [0, 1]."""

# Listed so that Pillow tries no other decoder (one of them starts Ghostscript). The content decides
# and not the suffix: a PNG called .jpg is read as PNG.
_DECODERS = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "BMP", "GIF")

RECIPE_KEY = "nstbatch"
"""Keyword of the PNG text that holds a picture's recipe."""

# Pillow's modes with 32 bits a sample: integers or floats without a defined white.
_NO_WHITE = {"I", "F"}

# Pillow keeps all 16 bits of a grey picture, but only the high byte of each sample in colour. The
# last letter of the raw mode says which of the two bytes is the high one (big-endian,
# little-endian, native), so reading the file again with the other letter gives the low byte.
_DEEP_COLOUR = re.compile(r"(RGB|RGBA|RGBX|R|G|B|A);16[BLN]")
_OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}

# A profile that changes no colour by more than this many of 255 levels counts as sRGB. Measured: an
# sRGB profile changes none, sRGB's primaries with a plain gamma of 2.2 change some by 9, Display P3
# by 105.
_SAME_COLOUR = 2

# warnings.catch_warnings changes state of the whole process, so only one reader may use it at a
# time.
_MUTED = threading.Lock()

# Pillow logs some of the errors that it raises; without any handler, logging prints them on stderr.
logging.getLogger("PIL").addHandler(logging.NullHandler())


def _silence_libtiff() -> None:
    """Keep libtiff from printing on stderr what Pillow raises anyway."""
    try:
        libtiff = ctypes.CDLL(_imaging.__file__)  # finds the libtiff that Pillow is linked with
        libtiff.TIFFSetErrorHandler(None)
        libtiff.TIFFSetWarningHandler(None)
    except (AttributeError, OSError):  # linked statically (Windows), so out of reach
        pass


_silence_libtiff()


def decode(file: BinaryIO, at_least: int | None = None) -> Samples:
    """Decode the first picture in an open file, upright and in sRGB.

    Args:
        file: Open for reading, at its beginning.
        at_least: Accept a reduced picture, with no side below this many pixels, if the format can
            decode to one in a fraction of the time (JPEG).

    Raises:
        ImageError: The file is no picture, is damaged or cut short, or has no or too many pixels.
    """
    with _image_errors():
        image = _open(file)
        if at_least is not None:
            image.draft(None, (at_least, at_least))
        return _samples(image, file)


def decode_image(image: Image.Image) -> Samples:
    """Return the samples of a PIL image, upright and in sRGB, as precise as Pillow holds them.

    Raises:
        ImageError: Its file is damaged or closed, or it has no pixels, or a mode without a white.
    """
    with _image_errors():
        if not math.prod(image.size):
            raise ImageError("The picture has no pixels.")
        if isinstance(image, TiffImageFile):
            _mend_planes(image)
        return _samples(image, None)


def _samples(image: Image.Image, file: BinaryIO | None) -> Samples:
    """Return an image's samples; 16-bit colour is cut to 8 bits if its file is not given."""
    coding = {_coding(tile) for tile in getattr(image, "tile", ())}
    upright = ImageOps.exif_transpose(image)
    if upright.mode in _NO_WHITE:
        raise ImageError(f"32-bit samples (mode {upright.mode}) have no defined white.")
    transform = _to_srgb(upright)
    is_deep_grey = upright.mode.startswith("I;16")
    if not is_deep_grey and (file is None or not _is_deep_colour(coding)):
        return _from_8_bits(upright, transform)
    convert = transform and icc.conversion(upright.info["icc_profile"])
    if transform and not convert:  # Pillow's colour engine takes 8 bits only
        return _from_8_bits(_cut_to_8_bits(upright, coding), transform)
    deep = _deep_colour(upright, file) if file and not is_deep_grey else _deep_grey(upright, coding)
    pixels, alpha = _from_16_bits(deep, upright)
    return (convert(pixels), alpha) if convert else (pixels, alpha)


@dataclass(frozen=True, eq=False)
class Header:
    """The content of a picture file beside its samples."""

    bits: int
    """Bits of a sample: 16, or 8 for 8 and less."""
    is_tiff: bool
    """True if the file is a TIFF, and so a directory of EXIF's tags itself."""
    exif: bytes
    """The EXIF record, from the byte order on; empty if there is none."""
    xmp: bytes
    """The XMP packet; empty if there is none."""
    recipe: str | None
    """The recipe from a PNG file's text; None if there is none."""


def inspect(file: BinaryIO) -> Header:
    """Read the metadata of the first picture in an open file. Only a PNG is decoded for it.

    Raises:
        ImageError: See :func:`decode`.
    """
    with _image_errors():
        image = _open(file)
        coding = {_coding(tile) for tile in image.tile}
        if image.format == "PNG":
            image.load()  # its chunks of metadata may follow the samples
        exif, packet, recipe = (image.info.get(key) for key in ("exif", "xmp", RECIPE_KEY))
        return Header(
            bits=16 if _is_deep_colour(coding) or image.mode.startswith("I;16") else 8,
            is_tiff=isinstance(image, TiffImageFile),
            exif=exif.removeprefix(b"Exif\0\0") if isinstance(exif, bytes) else b"",
            xmp=packet if isinstance(packet, bytes) else b"",
            recipe=recipe if isinstance(recipe, str) else None,
        )


def _is_deep_colour(coding: set[str]) -> bool:
    """True if all pieces of a picture are 16-bit colour."""
    return bool(coding) and all(map(_DEEP_COLOUR.fullmatch, coding))


@contextmanager
def _image_errors() -> Iterator[None]:
    """Turn every exception of a decoder into an ImageError, and suppress warnings."""
    try:
        with _MUTED, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        known = ", ".join(_DECODERS)
        message = f"Not recognised as a picture ({known}): it is something else or badly damaged."
        raise ImageError(message) from error
    except Image.DecompressionBombError as error:
        raise _too_large() from error
    except Exception as error:  # on a damaged file a decoder can raise anything
        reason = str(error).rstrip(".") or type(error).__name__
        raise ImageError(f"The picture cannot be decoded: {reason}.") from error


def _too_large() -> ImageError:
    return ImageError(
        f"The picture has more than {Image.MAX_IMAGE_PIXELS:,} pixels, too many to be read safely "
        "(a decompression bomb?)."
    )


def _open(file: BinaryIO) -> ImageFile.ImageFile:
    """Read only the header of a picture, and refuse one with too many pixels."""
    image = Image.open(file, formats=_DECODERS)
    # Pillow only warns above the limit, and raises at twice the limit.
    if Image.MAX_IMAGE_PIXELS is not None and math.prod(image.size) > Image.MAX_IMAGE_PIXELS:
        raise _too_large()
    if isinstance(image, TiffImageFile):
        _mend_planes(image)
    return image


def _mend_planes(image: TiffImageFile) -> None:
    """Correct the raw mode of uncompressed 16-bit planes, which Pillow 13 reads as 8-bit noise.

    For the red plane its raw mode is "R" where "R;16L" or "R;16B" would be right.
    """
    if 16 in image.tag_v2.get(ExifTags.Base.BitsPerSample, ()):
        order = "L" if image.tag_v2.prefix == b"II" else "B"
        image.tile = [
            _recoded(tile, f"{coding};16{order}") if len(coding := _coding(tile)) == 1 else tile
            for tile in image.tile
        ]


def _coding(tile: ImageFile._Tile) -> str:
    """Pillow's raw mode of a piece of the file, such as "RGB;16B"."""
    return str(tile.args[0] if isinstance(tile.args, tuple) else tile.args)


def _recoded(tile: ImageFile._Tile, coding: str) -> ImageFile._Tile:
    """The same piece, to be read with another raw mode."""
    return tile._replace(args=(coding, *tile.args[1:]) if isinstance(tile.args, tuple) else coding)


# --- Samples ----------------------------------------------------------------------------------


def _deep_colour(high: Image.Image, file: BinaryIO) -> NDArray[np.uint16]:
    """All 16 bits of a colour picture, given the high bytes that Pillow has read."""
    image = _open(file)
    image.tile = [_recoded(tile, _other_byte(_coding(tile))) for tile in image.tile]
    low = np.asarray(ImageOps.exif_transpose(image))
    samples: NDArray[np.uint16] = np.asarray(high).astype(np.uint16) << 8 | low
    return samples


def _other_byte(coding: str) -> str:
    return coding[:-1] + _OTHER_BYTE[coding[-1]]


def _from_16_bits(samples: NDArray[np.uint16], image: Image.Image) -> Samples:
    """Scale samples (H, W, 1 | 3 | 4) to [0, 1]; a PNG's transparent colour becomes an alpha."""
    values = samples.astype(np.float32) / np.float32(65535)
    if samples.shape[2] == 4:
        return values[..., :3], values[..., 3]
    alpha = None
    if "transparency" in image.info:
        hidden = np.all(samples == np.array(image.info["transparency"]), axis=2)
        alpha = np.where(hidden, np.float32(0), np.float32(1))
    return np.broadcast_to(values, (*values.shape[:2], 3)), alpha


def _deep_grey(image: Image.Image, coding: set[str]) -> NDArray[np.uint16]:
    """All 16 bits of a grey picture, (H, W, 1)."""
    samples = np.asarray(image).astype(np.uint16)[..., None]
    if "I;12" in coding:
        samples <<= 4
    return samples


def _cut_to_8_bits(image: Image.Image, coding: set[str]) -> Image.Image:
    """The picture with 8 bits, for the colour engine; only grey pictures still have 16 here."""
    if not image.mode.startswith("I;16"):
        return image
    return Image.fromarray(np.rint(_deep_grey(image, coding)[..., 0] / 257).astype(np.uint8))


def _from_8_bits(image: Image.Image, transform: ImageCms.ImageCmsTransform | None) -> Samples:
    alpha = None
    if image.has_transparency_data:
        alpha = _unit(image.convert("RGBA").getchannel("A"))
    if transform is None:
        return _unit(_opaque(image).convert("RGB")), alpha
    colour = ImageCms.applyTransform(_opaque(image), transform)
    assert colour is not None  # only an in-place transform returns nothing
    return _unit(colour), alpha


def _opaque(image: Image.Image) -> Image.Image:
    """The picture without alpha, in a mode that colour profiles exist for: L, RGB or CMYK."""
    if image.mode in {"L", "RGB", "CMYK"}:
        return image
    if image.mode in {"1", "LA"} or image.mode.startswith("I;16"):
        return image.convert("L")
    # Through RGBA, since Pillow otherwise changes colours that a palette marks as transparent.
    return image.convert("RGBA").convert("RGB")


def _unit(image: Image.Image) -> NDArray[np.float32]:
    return np.asarray(image, dtype=np.float32) / np.float32(255)


# --- Colour profiles --------------------------------------------------------------------------


def _to_srgb(image: Image.Image) -> ImageCms.ImageCmsTransform | None:
    """The embedded profile's transform to sRGB.

    None if there is no profile, or if it is sRGB. As in web browsers, also None if the profile is
    broken or made for another kind of picture.
    """
    profile = image.info.get("icc_profile")
    if not profile:
        return None
    mode = _opaque(Image.new(image.mode, (1, 1))).mode
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError):
        return None
    return None if _changes_nothing(transform, mode) else transform


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """True if a transform leaves a cube of colours, or a ramp of greys, unchanged."""
    if mode == "CMYK":
        return False
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(len(levels), -1, 3)
    before = Image.fromarray(cube if mode == "RGB" else levels[None])
    after = ImageCms.applyTransform(before, transform)
    difference = np.asarray(after, np.int16) - np.asarray(before.convert("RGB"), np.int16)
    return bool(np.abs(difference).max() <= _SAME_COLOUR)
