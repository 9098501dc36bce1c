"""Options for writing pictures, with their defaults: one definition for library and commands.

This module imports nothing heavy, so the command line can show the defaults without numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from nstbatch.runtime.checks import one_of, text, whole

Keep = Literal["telling", "everything", "nothing"]
KEEPS: tuple[Keep, ...] = get_args(Keep)

SUFFIXES_OF_FORMATS: Mapping[str, str] = MappingProxyType(
    {"jpg": ".jpg", "png": ".png", "webp": ".webp", "tiff": ".tif", "avif": ".avif"}
)
"""The formats that pictures can be written in -> their suffixes."""

_RAW = (
    ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .iiq .kdc .mef .mos .mrw .nef .nrw .orf .pef "
    ".raf .raw .rw2 .rwl .sr2 .srf .srw .x3f"
)
SUFFIXES_OF_EXTRAS: Mapping[str, str] = MappingProxyType(
    dict.fromkeys([".heic", ".heics", ".heif", ".hif"], "heic")
    | {".jxl": "jxl"}
    | dict.fromkeys(_RAW.split(), "raw")
)
"""The suffixes of formats that are read by an extra's package -> the extra."""

FORMATS = tuple(SUFFIXES_OF_FORMATS)

QUALITIES = range(1, 101)
"""Qualities of JPEG, WebP and AVIF, as in Pillow; 0 means something different in each of them."""


@dataclass(frozen=True)
class PictureOptions:
    """Options for writing the pictures of a batch.

    Attributes:
        format: One of :data:`FORMATS`; None for the format of each photo.
        quality: Quality of lossy formats, from 1 to 100; None for each format's default.
        name: Template of the file names, without suffix, such as ``{stem}-{style}``; None for the
            names of the photos.
        keep: The part of the photos' metadata that the pictures keep.

    Raises:
        UsageError: A value is of another type or out of range; the message names the option.
    """

    format: str | None = None
    quality: int | None = None
    name: str | None = None
    keep: Keep = "telling"

    def __post_init__(self) -> None:
        if self.format is not None:
            one_of("format", self.format, FORMATS)
        if self.quality is not None:
            whole("quality", self.quality, QUALITIES[0], QUALITIES[-1])
        if self.name is not None:
            text("name", self.name)
        one_of("keep", self.keep, KEEPS)

    @property
    def suffix(self) -> str | None:
        """The suffix of all pictures; None for the suffix of each photo."""
        return None if self.format is None else SUFFIXES_OF_FORMATS[self.format]
