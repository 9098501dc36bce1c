"""Reads a photo's metadata and chooses the part that its picture keeps.

There are three levels. By default a picture keeps the description of the scene and its maker (date,
camera and its settings, author, title) and drops what could identify a person who shares it:
places, serial numbers, names of owners. On request it keeps everything that is still true, or
nothing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.storage.local_copies import local_copy

from . import iptc, tiff, xmp
from .content import Content
from .header import RECIPE_KEY, Header, Resolution, inspect
from .picture_options import Keep
from .tiff import Directory

log = logging.getLogger(__name__)

# --- EXIF tags that are kept or dropped: CIPA DC-008 (EXIF 2.32), tables 4 to 8 -----------------

SOFTWARE, COLOUR_SPACE, WIDTH, HEIGHT = 0x0131, 0xA001, 0xA002, 0xA003

# Kept from the first directory, in which TIFF files also describe their samples: ImageDescription,
# Make, Model, DateTime, Artist, Copyright, Rating, RatingPercent, and the tags of the Windows
# Explorer (title, comment, author, keywords, subject).
_DESCRIBING = frozenset({0x010E, 0x010F, 0x0110, 0x0132, 0x013B, 0x8298, 0x4746, 0x4749})
_DESCRIBING |= frozenset(range(0x9C9B, 0x9CA0))

# Microsoft's Rating, which libexif does not know and so drops.
_RATING = 0x4746

# Dropped from the EXIF directory, since it is no longer true of the picture: order and compression
# of the components, position of the subject in the photo, and pointers to data that is not copied.
_OUTDATED = frozenset({0x9101, 0x9102, 0x9214, 0xA214, COLOUR_SPACE, WIDTH, HEIGHT, 0xA004, 0xA005})

# Tags that identify the camera's owner: MakerNote (which may hold anything), ImageUniqueID,
# CameraOwnerName, BodySerialNumber, LensSerialNumber.
_PERSONAL = frozenset({0x927C, 0xA420, 0xA430, 0xA431, 0xA435})

# PNG texts that are kept by default (PNG specification, 11.3.4.2). Not kept are the names of
# programs and devices, comments, and what generators of pictures write, such as "parameters".
_TELLING_TEXTS = frozenset({"Title", "Author", "Description", "Copyright", "Creation Time"})

# EXIF 2.32, ColorSpace: 1 is sRGB.
_SRGB = 1


@dataclass(frozen=True, eq=False)
class Metadata:
    """The content of a picture's file beside its colours."""

    exif: Directory = field(default_factory=dict)
    """The picture's EXIF tags, without orientation, since it stands upright."""

    xmp: bytes = b""
    """An XMP packet, without the recipe."""

    iptc: bytes = b""
    """IPTC records, for formats that hold them: JPEG and TIFF."""

    texts: Mapping[str, str] = field(default_factory=dict)
    """Texts by their keywords, for PNG, without the recipe."""

    resolution: Resolution | None = None
    """Pixels per inch, across and down; None if it is unknown."""

    recipe: str | None = None
    """Description of how the picture was made: any text without control characters."""

    profiled: bool = False
    """True to embed a colour profile that marks the colours as sRGB."""

    bits: int = 8
    """Bits of each sample, 8 or 16; formats without 16 bits use 8."""

    modified_ns: int | None = None
    """Modification time of the file, in nanoseconds since 1970; None for now."""


def read_metadata(path: str | os.PathLike[str], keep: Keep = "telling") -> Metadata:
    """The metadata that a picture keeps from its photo.

    Damaged records are left out, since the photo may be usable without them.

    Args:
        path: The photo.
        keep: "telling" for the description of the scene and its maker; "everything" to add places,
            serial numbers, all of the XMP and the file's modification time; "nothing" for the bits
            of its samples alone.

    Raises:
        ImageError: The file cannot be read, or is no picture.
    """
    header, modified_ns = _inspected(path)
    if keep == "nothing":
        return Metadata(bits=header.bits)
    everything = keep == "everything"
    packet = _filtered(header.xmp, xmp.everything if everything else xmp.telling)
    stars = tiff.number(header.exif, _RATING)
    return Metadata(
        exif=_picked(header.exif, everything=everything),
        xmp=packet if stars is None else xmp.with_rating(packet, stars),
        iptc=(iptc.everything if everything else iptc.telling)(header.iptc),
        texts={
            key: text
            for key, text in header.texts.items()
            if key != RECIPE_KEY and (everything or key in _TELLING_TEXTS)
        },
        resolution=header.resolution,
        profiled=True,
        bits=header.bits,
        modified_ns=modified_ns if everything else None,
    )


def read_recipe(path: str | os.PathLike[str]) -> str | None:
    """The recipe in a picture; None if there is none.

    Raises:
        ImageError: The file cannot be read, or is no picture.
    """
    header, _ = _inspected(path)
    if RECIPE_KEY in header.texts or not header.xmp:
        return header.texts.get(RECIPE_KEY)
    try:
        return xmp.recipe_in(header.xmp)
    except xmp.PacketError:
        return None


def _inspected(path: str | os.PathLike[str]) -> tuple[Header, int]:
    """The records of a file, and its modification time."""
    try:
        with local_copy(path) as found:
            return inspect(Content(found)), found.stat().st_mtime_ns
    except OSError as error:
        raise ImageError(f"The file cannot be read: {error.strerror}.") from error


def _picked(exif: Directory, *, everything: bool) -> Directory:
    picture = tiff.picked(exif, _DESCRIBING)
    within = exif.get(tiff.EXIF_DIRECTORY)
    if isinstance(within, Mapping):
        picture[tiff.EXIF_DIRECTORY] = tiff.without(
            within, _OUTDATED if everything else _OUTDATED | _PERSONAL
        )
    if everything and tiff.GPS_DIRECTORY in exif:
        picture[tiff.GPS_DIRECTORY] = exif[tiff.GPS_DIRECTORY]
    return picture


def _filtered(packet: bytes, wanted: Callable[[bytes], bytes]) -> bytes:
    try:
        return wanted(packet) if packet else b""
    except xmp.PacketError as error:
        log.debug("The XMP packet is left out: %s", error)
        return b""


def exif_of_picture(exif: Directory, width: int, height: int, software: str) -> Directory:
    """EXIF tags with the picture's size, colour space and software; without any, still none."""
    if not exif:
        return exif
    within = exif.get(tiff.EXIF_DIRECTORY)
    return {
        **exif,
        SOFTWARE: tiff.text(software),
        tiff.EXIF_DIRECTORY: {
            **(within if isinstance(within, Mapping) else {}),
            COLOUR_SPACE: tiff.shorts(_SRGB),
            WIDTH: tiff.longs(width),
            HEIGHT: tiff.longs(height),
        },
    }
