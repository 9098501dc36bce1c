"""Encodes samples and metadata to the bytes of a picture file; the counterpart of :mod:`.decoding`.

Pillow writes JPEG, WebP, AVIF and 8-bit PNG. It has no 16-bit colour, so OpenCV writes 16-bit PNG.
This module itself writes TIFF, which is little more than a directory of tags, and PNG's metadata
chunks. The same picture always gives the same bytes: nothing here depends on the time.
"""

from __future__ import annotations

import functools
import io
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from types import MappingProxyType
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from nstbatch.runtime.errors import ImageError

from . import tiff, xmp
from .decoding import RECIPE_KEY
from .metadata import Metadata, exif_of_picture

Levels: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]
"""Samples (H, W, 3 | 4): colours, and opacity if the picture has transparency."""


@dataclass(frozen=True)
class _Extras:
    """The content of a file beside its samples; each part may be empty."""

    exif: tiff.Directory
    xmp: bytes
    icc: bytes
    recipe: str | None

    @property
    def xmp_with_recipe(self) -> bytes:
        """The XMP packet with the recipe, for formats that have no text fields of their own."""
        return self.xmp if self.recipe is None else xmp.with_recipe(self.xmp, self.recipe)

    @property
    def exif_record(self) -> bytes:
        """The EXIF record as bytes; empty if there are no tags."""
        return tiff.record(self.exif) if self.exif else b""


@dataclass(frozen=True)
class Format:
    """A format that pictures can be written in."""

    name: str
    encode: Callable[[Levels, _Extras, int | None], bytes]
    keeps_alpha: bool = True
    keeps_16_bits: bool = False


def encode(
    pixels: NDArray[np.float32],
    alpha: NDArray[np.float32] | None,
    target: Format,
    metadata: Metadata,
    quality: int | None,
) -> bytes:
    """Return the bytes of a picture file.

    Args:
        pixels: (H, W, 3), sRGB; values outside [0, 1] are clipped.
        alpha: (H, W), opacity; None for an opaque picture. In formats without alpha the picture is
            blended onto white.
        target: One of :data:`FORMATS`.
        metadata: The metadata to write into the file.
        quality: From 1 to 100; None for the format's default. Lossless formats ignore it.

    Raises:
        ImageError: The format cannot hold a picture of this size.
    """
    if alpha is not None:
        pixels = np.dstack([pixels, alpha]) if target.keeps_alpha else _on_white(pixels, alpha)
    height, width = pixels.shape[:2]
    extras = _Extras(
        exif_of_picture(metadata.exif, width, height, _software()),
        metadata.xmp,
        srgb_profile() if metadata.profiled else b"",
        metadata.recipe,
    )
    levels = _levels(pixels, metadata.bits if target.keeps_16_bits else 8)
    try:
        return target.encode(levels, extras, quality)
    except (OSError, ValueError, cv2.error) as error:
        message = f"{target.name} cannot hold this picture of {width}x{height}: {error}."
        raise ImageError(message) from error


def _on_white(pixels: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    opacity = alpha[..., None]
    return pixels * opacity + (1 - opacity)


def _levels(pixels: NDArray[np.float32], bits: int) -> Levels:
    values: NDArray[np.float32] = np.rint(np.clip(pixels, 0, 1) * np.float32(2**bits - 1))
    return values.astype(np.uint16) if bits == 16 else values.astype(np.uint8)


@functools.cache
def _software() -> str:
    return f"nstbatch {version('nstbatch')}"


@functools.cache
def srgb_profile() -> bytes:
    """An ICC profile for sRGB: that of Little CMS, with a fixed date.

    The photo's own profile is not used again: colours outside sRGB are already lost, and a profile
    for grey or CMYK could not hold the colours of a style.
    """
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # ICC.1:2022, 7.2: six numbers from byte 24 on are the date and time, here of the sRGB standard.
    date = struct.pack(">6H", 1999, 10, 1, 0, 0, 0)
    return profile[:24] + date + profile[36:]


# --- JPEG, WebP, AVIF -------------------------------------------------------------------------

# A segment's length is a number of two bytes that includes these two. In JPEG an XMP packet starts
# with 29 bytes more: "http://ns.adobe.com/xap/1.0/" and a zero.
_JPEG_SEGMENT = 65_533
_JPEG_XMP = _JPEG_SEGMENT - 29
_EXIF_MARK = b"Exif\0\0"


def _jpeg(levels: Levels, extras: _Extras, quality: int | None) -> bytes:
    exif, packet = _EXIF_MARK + extras.exif_record, extras.xmp_with_recipe
    if len(packet) > _JPEG_XMP:  # drop the photo's own properties, so that the recipe still fits
        packet = xmp.with_recipe(b"", extras.recipe) if extras.recipe else b""
    return _pillow(
        levels,
        "JPEG",
        exif=exif if len(_EXIF_MARK) < len(exif) <= _JPEG_SEGMENT else b"",
        xmp=packet if len(packet) <= _JPEG_XMP else b"",
        icc_profile=extras.icc,
        # 95: above that, Pillow's documentation says, files grow with hardly any gain in quality.
        quality=quality or 95,
        # Halved colour resolution smears the saturated edges of brush strokes.
        subsampling="4:4:4",
    )


def _webp(levels: Levels, extras: _Extras, quality: int | None) -> bytes:
    return _pillow(levels, "WEBP", **_records(extras), quality=quality or 95)


def _avif(levels: Levels, extras: _Extras, quality: int | None) -> bytes:
    # 90 is a guess.
    return _pillow(levels, "AVIF", **_records(extras), quality=quality or 90, subsampling="4:4:4")


def _records(extras: _Extras) -> dict[str, bytes]:
    return {
        "exif": extras.exif_record,
        "xmp": extras.xmp_with_recipe,
        "icc_profile": extras.icc,
    }


def _pillow(levels: Levels, name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, format=name, **options)
    return buffer.getvalue()


# --- PNG --------------------------------------------------------------------------------------

# PNG specification, 5.2 and 11.2.1: the header comes first and always has this length.
_SIGNATURE_AND_HEADER = 8 + 25


def _png(levels: Levels, extras: _Extras, quality: int | None) -> bytes:
    plain = _pillow(levels, "PNG") if levels.dtype == np.uint8 else _deep_png(levels)
    chunks = []
    if extras.icc:
        chunks.append(_chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(extras.icc)))
    if extras.exif:
        chunks.append(_chunk(b"eXIf", extras.exif_record))
    if extras.xmp:
        chunks.append(_international_text("XML:com.adobe.xmp", extras.xmp))
    if extras.recipe is not None:
        chunks.append(_international_text(RECIPE_KEY, extras.recipe.encode()))
    start, rest = plain[:_SIGNATURE_AND_HEADER], plain[_SIGNATURE_AND_HEADER:]
    return b"".join([start, *chunks, rest])


def _deep_png(levels: Levels) -> bytes:
    order = [2, 1, 0, 3][: levels.shape[2]]  # OpenCV has blue first
    _, data = cv2.imencode(".png", np.ascontiguousarray(levels[..., order]))
    return data.tobytes()


def _international_text(keyword: str, text: bytes) -> bytes:
    """An iTXt chunk (PNG specification, 11.3.4.5): uncompressed, no language, no translation."""
    return _chunk(b"iTXt", keyword.encode() + b"\0" + bytes(4) + text)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# --- TIFF -------------------------------------------------------------------------------------

_DEFLATE, _RGB, _INTERLEAVED, _STRAIGHT_ALPHA = 8, 2, 1, 2
# Storing differences between neighbours halves the size after deflate.
_DIFFERENCES = 2
_STRIP_OFFSETS = 273


def _tiff(levels: Levels, extras: _Extras, quality: int | None) -> bytes:
    """A TIFF of one strip. The tag numbers are those of TIFF 6.0, sections 6, 8, 14 and 18."""
    height, width, channels = levels.shape
    strip = zlib.compress(_differences(levels).astype(levels.dtype.newbyteorder("<")).tobytes())
    directory: dict[int, tiff.Value | tiff.Directory] = {
        **extras.exif,
        256: tiff.longs(width),
        257: tiff.longs(height),
        258: tiff.shorts(*[8 * levels.itemsize] * channels),
        259: tiff.shorts(_DEFLATE),
        262: tiff.shorts(_RGB),
        277: tiff.shorts(channels),
        278: tiff.longs(height),  # rows per strip
        279: tiff.longs(len(strip)),
        284: tiff.shorts(_INTERLEAVED),
        317: tiff.shorts(_DIFFERENCES),
    }
    if channels == 4:
        directory[338] = tiff.shorts(_STRAIGHT_ALPHA)
    if packet := extras.xmp_with_recipe:
        directory[700] = tiff.Value(tiff.BYTE, packet)
    if extras.icc:
        directory[34675] = tiff.Value(tiff.UNDEFINED, extras.icc)
    return tiff.file_with(directory, _STRIP_OFFSETS, strip)


def _differences(levels: Levels) -> Levels:
    differences = levels.copy()
    differences[:, 1:] -= levels[:, :-1]  # unsigned, so they wrap around, as readers expect
    return differences


# --- All formats ------------------------------------------------------------------------------

_JPEG = Format("JPEG", _jpeg, keeps_alpha=False)
_TIFF = Format("TIFF", _tiff, keeps_16_bits=True)
FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        ".jpg": _JPEG,
        ".jpeg": _JPEG,
        ".png": Format("PNG", _png, keeps_16_bits=True),
        ".webp": Format("WEBP", _webp),
        ".tif": _TIFF,
        ".tiff": _TIFF,
        ".avif": Format("AVIF", _avif),
        ".jfif": _JPEG,  # what Windows and Chrome call some JPEGs
        ".jpe": _JPEG,
    }
)
"""The writable formats, by their suffixes in lower case."""
