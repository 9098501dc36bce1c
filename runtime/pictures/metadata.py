"""What a photo's file holds beside its colours, and how much of it goes into its picture.

Three levels. By default a picture takes over what its photo says of the scene and its maker (the
date, the camera and its settings, the author, the title), and not what could give somebody away who
shows it around: places, serial numbers, names of owners. On request it takes over all that is true
of it, or nothing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from nstbatch.runtime.errors import ImageError

from . import tiff, xmp
from .decoding import Header, inspect
from .picture_options import Keep
from .tiff import Directory

log = logging.getLogger(__name__)

# --- What is taken over of EXIF: the tags of CIPA DC-008 (EXIF 2.32), tables 4 to 8 -------------

SOFTWARE, COLOUR_SPACE, WIDTH, HEIGHT = 0x0131, 0xA001, 0xA002, 0xA003

# Of the first directory, where TIFF files also say how their samples lie: ImageDescription, Make,
# Model, DateTime, Artist, Copyright, Rating, RatingPercent, and what the Windows Explorer writes
# (title, comment, author, keywords, subject).
_DESCRIBING = frozenset({0x010E, 0x010F, 0x0110, 0x0132, 0x013B, 0x8298, 0x4746, 0x4749})
_DESCRIBING |= frozenset(range(0x9C9B, 0x9CA0))

# Of the EXIF directory what does not hold for the picture any more: how components were ordered and
# compressed, where in the photo its subject is, and pointers to what is not copied.
_OUTDATED = frozenset({0x9101, 0x9102, 0x9214, 0xA214, COLOUR_SPACE, WIDTH, HEIGHT, 0xA004, 0xA005})

# What says whose camera it was: MakerNote (which may hold anything), ImageUniqueID,
# CameraOwnerName, BodySerialNumber, LensSerialNumber.
_PERSONAL = frozenset({0x927C, 0xA420, 0xA430, 0xA431, 0xA435})

# EXIF 2.32, ColorSpace: 1 is sRGB.
_SRGB = 1


@dataclass(frozen=True, eq=False)
class Metadata:
    """What goes into a picture's file beside its colours."""

    exif: Directory = field(default_factory=dict)
    """Of the picture: without orientation, since it stands upright."""

    xmp: bytes = b""
    """A packet, without the recipe."""

    recipe: str | None = None
    """How the picture was made: any text without control characters."""

    profiled: bool = False
    """Whether to say by a colour profile that the colours are sRGB."""

    bits: int = 8
    """Of each sample, 8 or 16; formats that have no 16 take 8."""

    modified_ns: int | None = None
    """When the file was last modified, in nanoseconds since 1970; None for now."""


def read_metadata(path: str | os.PathLike[str], keep: Keep = "telling") -> Metadata:
    """What a photo's picture takes over from it.

    Args:
        path: The photo.
        keep: "telling" for what it says of the scene and its maker; "everything" for places, serial
            numbers, all of its XMP and the file's date of modification, too; "nothing" for the
            bits of its samples alone.

    Records that are damaged are left out; the photo may be fine without them.

    Raises:
        ImageError: The file cannot be read, or is no picture.
    """
    path = Path(path)
    with _opened(path) as file:
        header = inspect(file)
        modified_ns = os.fstat(file.fileno()).st_mtime_ns
        if keep == "nothing":
            return Metadata(bits=header.bits)
        everything = keep == "everything"
        return Metadata(
            exif=_picked(_exif(file, header), everything=everything),
            xmp=_filtered(header.xmp, xmp.everything if everything else xmp.telling),
            profiled=True,
            bits=header.bits,
            modified_ns=modified_ns if everything else None,
        )


def read_recipe(path: str | os.PathLike[str]) -> str | None:
    """The recipe in a picture; None where there is none.

    Raises:
        ImageError: The file cannot be read, or is no picture.
    """
    with _opened(Path(path)) as file:
        header = inspect(file)
    if header.recipe is not None or not header.xmp:
        return header.recipe
    try:
        return xmp.recipe_in(header.xmp)
    except xmp.PacketError:
        return None


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise ImageError(f"The file cannot be read: {error.strerror}.") from error


def _exif(file: BinaryIO, header: Header) -> Directory:
    """A photo's tags: a TIFF file is itself a directory of them."""
    try:
        if header.is_tiff:
            return tiff.read_directory(file)
        return tiff.read_directory(BytesIO(header.exif)) if header.exif else {}
    except tiff.DirectoryError as error:
        log.debug("The EXIF record is left out: %s", error)
        return {}


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
    """A record with what is true of the picture; an empty one stays empty."""
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
