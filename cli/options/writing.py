"""How the files of pictures are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from nstbatch.cli.jobs.parameters import Scope
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.pictures.picture_options import FORMATS, QUALITIES, Keep, PictureOptions

from .panels import WRITING, complete

Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="|".join(FORMATS),
        help="Format of the pictures. Default: that of each photo; png for sheets and textures.",
        autocompletion=complete(FORMATS),
        show_default=False,
        rich_help_panel=WRITING,
    ),
    Scope.MAKING,
]
Quality = Annotated[
    int | None,
    typer.Option(
        "--quality",
        min=QUALITIES[0],
        max=QUALITIES[-1],
        metavar="N",
        help="Quality of JPEG, WebP and AVIF, 1 to 100. Default: 95, 95 and 90.",
        show_default=False,
        rich_help_panel=WRITING,
    ),
    Scope.PICTURE,
]
NameTemplate = Annotated[
    str | None,
    typer.Option(
        "--name",
        metavar="TEMPLATE",
        help="File names without suffix, such as '{stem}-{style}'. Also {model}, {size}, {seed}, "
        "{index}, {variation}.",
        show_default=False,
        rich_help_panel=WRITING,
    ),
    Scope.MAKING,
]
Strip = Annotated[
    bool,
    typer.Option(
        "--strip",
        help="Write pixels only: no EXIF, XMP, colour profile or recipe.",
        rich_help_panel=WRITING,
    ),
    Scope.PICTURE,
]
Preserve = Annotated[
    bool,
    typer.Option(
        "--preserve",
        help="Keep all EXIF and XMP of the photos, GPS positions included, and the files' dates.",
        rich_help_panel=WRITING,
    ),
    Scope.PICTURE,
]


@dataclass(frozen=True)
class SheetWriting:
    """How the files of pictures of many photos are written."""

    format_: Format = None
    quality: Quality = None
    name: NameTemplate = None
    strip: Strip = False

    @property
    def pictures(self) -> PictureOptions:
        """The options as the library takes them; a UsageError if one is out of range."""
        keep: Keep = "nothing" if self.strip else "telling"
        return PictureOptions(self.format_, self.quality, self.name, keep)


@dataclass(frozen=True)
class PhotoWriting:
    """How the files of pictures of one photo each are written."""

    format_: Format = None
    quality: Quality = None
    name: NameTemplate = None
    preserve: Preserve = False
    strip: Strip = False

    @property
    def pictures(self) -> PictureOptions:
        """The options as the library takes them.

        Raises:
            UsageError: One of them is out of range, or two exclude each other.
        """
        if self.preserve and self.strip:
            raise UsageError("--preserve and --strip exclude each other.")
        keep: Keep = "everything" if self.preserve else "nothing" if self.strip else "telling"
        return PictureOptions(self.format_, self.quality, self.name, keep)
