"""The records in a picture file beside its samples, as they lie in the file.

Pillow finds them: one interface for all formats, where libvips has no EXIF of TIFF files, no
resolution of WebP and AVIF files, and no encoding of PNG's texts.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, TypeAlias

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from . import jxl_size, tiff
from .content import Content, Kind
from .decoding import image_errors, not_recognised, open_header
from .from_pillow import muted
from .limits import check_size

log = logging.getLogger(__name__)

RECIPE_KEY = "nstbatch"
"""Keyword of the PNG text that holds a picture's recipe."""

XMP_KEY = "XML:com.adobe.xmp"
"""Keyword of the PNG text that holds an XMP packet."""

Resolution: TypeAlias = tuple[float, float]
"""Pixels per inch, across and down."""

IPTC = 33723
"""The tag of IPTC records in a TIFF file."""

_ORIENTATION, _ACROSS, _DOWN, _UNIT = 0x0112, 0x011A, 0x011B, 0x0128
_INCHES = 2
_PER_INCH = {_INCHES: 1.0, 3: 2.54}  # by EXIF's ResolutionUnit; 3 is per centimetre
_LYING = range(5, 9)  # orientations that exchange width and height

# The number of Photoshop's block for IPTC (Adobe Photoshop File Formats, image resource IDs).
_IPTC_BLOCK = 0x0404

# PNG texts that hold a record of another kind, by the start of their keywords.
_RECORDS = (XMP_KEY, "Raw profile type")


@dataclass(frozen=True, eq=False)
class Header:
    """The content of a picture file beside its samples."""

    bits: int = 8
    """Bits of a sample: 16, or 8 for 8 and less."""
    exif: tiff.Directory = field(default_factory=dict)
    """The tags of its EXIF record, or those of a TIFF file."""
    xmp: bytes = b""
    """The XMP packet; empty if there is none."""
    iptc: bytes = b""
    """The IPTC records (IIM); empty if there are none."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """The texts of a PNG file by their keywords, with the recipe."""
    resolution: Resolution | None = None
    """The resolution of the picture as it stands upright; None if the file has none."""


def inspect(content: Content) -> Header:
    """Read the records of the first picture in a file, which is not decoded for it.

    Damaged records are left out.

    Raises:
        ImageError: See :func:`.decoding.decode`.
    """
    with image_errors(content):
        if content.kind is None:
            raise not_recognised()
        if content.kind == "RAW":
            return Header(bits=16, exif=_tags_of_file(content))
        if content.kind == "HEIC":
            return _of_heic(content)
        image = open_header(content)
        is_deep = content.kind == "TIFF" if image is None else image.format == "ushort"
        return _by_pillow(content, content.kind, 16 if is_deep else 8)


def _by_pillow(content: Content, kind: Kind, bits: int) -> Header:
    if kind == "JXL":
        import pillow_jxl  # noqa: F401  registers its decoder

        check_size(*jxl_size.size(content.read()))
    info: dict[str, Any] = {}
    texts: dict[str, str] = {}
    try:
        with muted(), content.open() as file, Image.open(file, formats=[kind]) as image:
            if isinstance(image, PngImageFile):
                # Goes to the texts that follow the samples, and decodes nothing.
                image.load_prepare()
                image.load_end()
                texts = {str(key): str(text) for key, text in image.text.items()}
            info |= {str(name): value for name, value in image.info.items()}
    except Exception as error:  # on damaged records Pillow can raise anything
        log.debug("The records are left out: %r", error)
    is_tiff = kind == "TIFF"
    exif = _tags_of_file(content) if is_tiff else _tags(info.get("exif"))
    iptc = _iptc_of_tiff(exif) if is_tiff else info.get("photoshop", {}).get(_IPTC_BLOCK)
    return Header(
        bits=bits,
        exif=exif,
        # libvips and others write it into a plain text chunk, where Pillow does not expect it.
        xmp=_bytes(info.get("xmp")) or texts.get(XMP_KEY, "").encode("latin-1", "replace"),
        iptc=_bytes(iptc),
        texts={key: text for key, text in texts.items() if not key.startswith(_RECORDS)},
        resolution=_resolution(info.get("dpi"), exif),
    )


def _of_heic(content: Content) -> Header:
    import pillow_heif

    with content.open() as file:
        container = pillow_heif.open_heif(file)
        info = container.info
    exif = _tags(info.get("exif"))
    return Header(
        bits=16 if info.get("bit_depth", 8) > 8 else 8,
        exif=exif,
        xmp=_bytes(info.get("xmp")),
        resolution=_resolution(None, exif),
    )


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


def _tags(record: object) -> tiff.Directory:
    data = _bytes(record).removeprefix(b"Exif\0\0")
    try:
        return tiff.read_directory(BytesIO(data)) if data else {}
    except tiff.DirectoryError as error:
        log.debug("The EXIF record is left out: %s", error)
        return {}


def _tags_of_file(content: Content) -> tiff.Directory:
    """The tags of a TIFF file, or of a raw file that is one."""
    try:
        with content.open() as file:
            return tiff.read_directory(file)
    except tiff.DirectoryError as error:
        log.debug("The tags are left out: %s", error)
        return {}


def _iptc_of_tiff(directory: tiff.Directory) -> bytes:
    value = directory.get(IPTC)
    if not isinstance(value, tiff.Value):
        return b""
    if value.kind == tiff.LONG and value.data[:1] != b"\x1c":  # numbers of a big-endian file
        return np.frombuffer(value.data, "<u4").byteswap().tobytes()
    return value.data


def _resolution(dpi: Any, exif: tiff.Directory) -> Resolution | None:
    """The resolution from EXIF's tags, or else as Pillow finds it elsewhere."""
    across, down = tiff.ratio(exif, _ACROSS), tiff.ratio(exif, _DOWN)
    scale = _PER_INCH.get(tiff.number(exif, _UNIT) or _INCHES)
    if across and down and scale:
        across, down = across * scale, down * scale
    else:
        try:
            across, down = map(float, dpi)
        except (TypeError, ValueError):  # none, or no numbers
            return None
    # Larger numbers, and the 1 of programs that mean "unknown", are no resolution. A guess.
    if not all(math.isfinite(value) and 1 < value < 1e5 for value in (across, down)):
        return None
    is_lying = tiff.number(exif, _ORIENTATION) in _LYING
    return (down, across) if is_lying else (across, down)
