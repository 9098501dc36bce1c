"""Encodes samples and metadata to the bytes of a picture file; the counterpart of :mod:`.decoding`.

libvips writes all formats. What it cannot write is added to its files: EXIF and IPTC of a TIFF, and
iTXt chunks of a PNG, for texts and XMP. The same picture always gives the same bytes: nothing here
depends on the time.
"""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from types import MappingProxyType

import numpy as np
import pyvips
from numpy.typing import NDArray
from PIL import ImageCms

from nstbatch.runtime.errors import ImageError

from . import iptc, libvips, srgb, tiff, xmp
from .header import IPTC, RECIPE_KEY, XMP_KEY, Resolution
from .libvips import Levels
from .metadata import Metadata, exif_of_picture

# EXIF's default (CIPA DC-008, XResolution), where the photo has none.
_USUAL_RESOLUTION: Resolution = (72.0, 72.0)
_MILLIMETRES = 25.4  # of an inch


@dataclass(frozen=True)
class _Extras:
    """The content of a file beside its samples; each part may be empty."""

    exif: tiff.Directory
    xmp: bytes
    iptc: bytes
    icc: bytes
    texts: Mapping[str, str]
    resolution: Resolution | None
    recipe: str | None

    @property
    def xmp_with_recipe(self) -> bytes:
        """The XMP packet with the recipe, for formats that have no text fields of their own."""
        return self.xmp if self.recipe is None else xmp.with_recipe(self.xmp, self.recipe)

    @property
    def exif_record(self) -> bytes:
        """The EXIF record as bytes, from its mark on; empty if there are no tags."""
        return b"Exif\0\0" + tiff.record(self.exif) if self.exif else b""


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
        metadata.iptc,
        srgb_profile() if metadata.profiled else b"",
        metadata.texts,
        metadata.resolution,
        metadata.recipe,
    )
    levels = _levels(pixels, metadata.bits if target.keeps_16_bits else 8)
    try:
        return target.encode(levels, extras, quality)
    except pyvips.Error as error:
        raise ImageError(f"{target.name} cannot hold this picture of {width}x{height}.") from error


def _on_white(pixels: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    opacity = alpha[..., None]
    return pixels * opacity + (1 - opacity)


def _levels(pixels: NDArray[np.float32], bits: int) -> Levels:
    levels: Levels = np.empty(pixels.shape, np.uint16 if bits == 16 else np.uint8)
    # Row by row: copies of a large picture would take more memory than its levels.
    for row, found in zip(pixels, levels, strict=True):
        found[...] = np.rint(np.clip(row, 0, 1) * np.float32(2**bits - 1))
    return levels


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


# --- Formats ----------------------------------------------------------------------------------

# A segment's length is a number of two bytes that includes these two. In JPEG an XMP packet starts
# with 29 bytes more: "http://ns.adobe.com/xap/1.0/" and a zero.
_JPEG_SEGMENT = 65_533
_JPEG_XMP = _JPEG_SEGMENT - 29


def _jpeg(levels: Levels, extras: _Extras, quality: int | None) -> bytes:
    packet = extras.xmp_with_recipe
    if len(packet) > _JPEG_XMP:  # drop the photo's own properties, so that the recipe still fits
        packet = xmp.with_recipe(b"", extras.recipe) if extras.recipe else b""
    blocks = iptc.in_jpeg(extras.iptc) if extras.iptc else b""
    records = {
        "exif": extras.exif_record if len(extras.exif_record) <= _JPEG_SEGMENT else b"",
        "xmp": packet if len(packet) <= _JPEG_XMP else b"",
        "iptc": blocks if len(blocks) <= _JPEG_SEGMENT else b"",
    }
    return _saved(
        "jpegsave",
        levels,
        extras,
        records,
        # 95: above that, Pillow's documentation says, files grow with hardly any gain in quality.
        Q=quality or 95,
        # Halved colour resolution smears the saturated edges of brush strokes.
        subsample_mode="off",
    )


def _webp(levels: Levels, extras: _Extras, quality: int | None) -> bytes:
    records = {"exif": extras.exif_record, "xmp": extras.xmp_with_recipe}
    return _saved("webpsave", levels, extras, records, Q=quality or 95)


def _avif(levels: Levels, extras: _Extras, quality: int | None) -> bytes:
    records = {"exif": extras.exif_record, "xmp": extras.xmp_with_recipe}
    # Effort 3: of 2 megapixels in 0.9 s. The default of 4 takes 5.7 s, for files 2% smaller.
    codec = {"compression": "av1", "subsample_mode": "off", "bitdepth": 8, "effort": 3}
    return _saved("heifsave", levels, extras, records, **codec, Q=quality or 90)  # 90: a guess


def _png(levels: Levels, extras: _Extras, quality: int | None) -> bytes:
    plain = _saved("pngsave", levels, extras, {"exif": extras.exif_record}, filter="all")
    if extras.resolution is None:  # libvips writes one in any case
        plain = plain.replace(_USUAL_PHYS, b"", 1)
    texts = dict(extras.texts)
    if extras.xmp:
        texts[XMP_KEY] = extras.xmp.decode()
    if extras.recipe is not None:
        texts[RECIPE_KEY] = extras.recipe
    chunks = [_international_text(keyword, text) for keyword, text in texts.items()]
    start, rest = plain[:_SIGNATURE_AND_HEADER], plain[_SIGNATURE_AND_HEADER:]
    return b"".join([start, *chunks, rest])


def _tiff(levels: Levels, extras: _Extras, quality: int | None) -> bytes:
    records = {"xmp": extras.xmp_with_recipe}
    # Storing differences between neighbours halves the size after deflate.
    codec = {"compression": "deflate", "predictor": "horizontal"}
    file = _saved("tiffsave", levels, extras, records, **codec)
    tags = dict(extras.exif)
    if extras.iptc:  # of which libvips writes the first quarter
        tags[IPTC] = tiff.Value(tiff.UNDEFINED, extras.iptc)
    return tiff.with_tags(file, tags) if tags else file


# --- libvips ----------------------------------------------------------------------------------

# The others have fields of their own for it.
_RESOLUTION_IN_EXIF = {"jpegsave", "webpsave", "heifsave"}

_FIELDS = {"exif": "exif-data", "xmp": "xmp-data", "iptc": "iptc-data", "icc": srgb.PROFILE}


def _saved(
    saver: str, levels: Levels, extras: _Extras, records: Mapping[str, bytes], **options: object
) -> bytes:
    """A file by one of libvips' savers, with records by their kinds as in ``_FIELDS``."""
    deep = levels.dtype == np.uint16
    records = {**records, "icc": extras.icc}
    across, down = extras.resolution or _USUAL_RESOLUTION
    image = libvips.from_levels(levels, "rgb16" if deep else "srgb").copy(
        xres=across / _MILLIMETRES, yres=down / _MILLIMETRES
    )
    keep = {kind for kind, data in records.items() if data}
    for kind in keep:
        libvips.put_blob(image, _FIELDS[kind], records[kind])
    if extras.resolution and saver in _RESOLUTION_IN_EXIF:
        keep.add("exif")
    return libvips.saved(image, saver, keep=keep, **options)


# --- PNG texts --------------------------------------------------------------------------------

# PNG specification, 5.2 and 11.2.1: the header comes first and always has this length.
_SIGNATURE_AND_HEADER = 8 + 25


def _international_text(keyword: str, text: str) -> bytes:
    """An iTXt chunk (PNG specification, 11.3.4.5): uncompressed, no language, no translation."""
    return _chunk(b"iTXt", keyword.encode("latin-1") + b"\0" + bytes(4) + text.encode())


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# The chunk of the usual resolution, in pixels per metre (PNG specification, 11.3.5.3).
_USUAL_PHYS = _chunk(b"pHYs", struct.pack(">IIB", 2835, 2835, 1))


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
