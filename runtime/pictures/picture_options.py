"""How pictures are written, with the defaults: one definition for library and commands.

Nothing heavy is imported here, so that the command line can show the defaults without numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from nstbatch.runtime.checks import one_of
from nstbatch.runtime.errors import UsageError

Keep = Literal["telling", "everything", "nothing"]
KEEPS: tuple[Keep, ...] = get_args(Keep)

SUFFIXES_OF_FORMATS: Mapping[str, str] = MappingProxyType(
    {"jpg": ".jpg", "png": ".png", "webp": ".webp", "tiff": ".tif", "avif": ".avif"}
)
"""The formats that pictures can be written in, and the suffix of each."""

FORMATS = tuple(SUFFIXES_OF_FORMATS)

QUALITIES = range(1, 101)
"""Of JPEG, WebP and AVIF, as in Pillow; 0 is left out, since it means other things to each."""


@dataclass(frozen=True)
class PictureOptions:
    """How the pictures of a batch are written.

    Attributes:
        format: One of :data:`FORMATS`; None for that of each photo.
        quality: Of lossy formats, from 1 to 100; None for each format's own.
        name: Template of the names, without suffix: ``{stem}-{style}``; None for the photos' own.
        keep: What of the photos' metadata goes into them.

    Raises:
        UsageError: For a value that is out of range, naming the option.
    """

    format: str | None = None
    quality: int | None = None
    name: str | None = None
    keep: Keep = "telling"

    def __post_init__(self) -> None:
        if self.format is not None:
            one_of("format", self.format, FORMATS)
        if self.quality is not None and self.quality not in QUALITIES:
            raise UsageError(f"The quality must be a number from 1 to 100, not {self.quality}.")
        one_of("keep", self.keep, KEEPS)

    @property
    def suffix(self) -> str | None:
        """The suffix of all pictures; None for that of each photo."""
        return None if self.format is None else SUFFIXES_OF_FORMATS[self.format]
