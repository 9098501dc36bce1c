"""Options for the files of pictures, those that are written and those that are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from nstbatch.cli.jobs.parameters import Scope
from nstbatch.cli.parsing.panels import SELECTION, WRITING, complete
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.formats.picture_options import FORMATS, QUALITIES, Keep, PictureOptions

Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="|".join(FORMATS),
        help="Format of the pictures. Default: that of each photo; for textures and "
        "reconstructions png.",
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
        help="Quality of JPEG, WebP and AVIF files, 1 to 100. Default: 95; AVIF 90.",
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
        help="File names without suffix, such as '{stem}-{model}'. Also {index}, {variation}, and "
        "{style}, {size}, {seed} of commands with these options.",
        show_default=False,
        rich_help_panel=WRITING,
    ),
    Scope.MAKING,
]
SheetFormat = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="|".join(FORMATS),
        help="Format of the sheets. Default: png.",
        autocompletion=complete(FORMATS),
        show_default=False,
        rich_help_panel=WRITING,
    ),
    Scope.MAKING,
]
SheetName = Annotated[
    str | None,
    typer.Option(
        "--name",
        metavar="TEMPLATE",
        help="File names of filter sheets without suffix, such as '{model}-{layer}-{filter}'. Also "
        "{stem}, {size}, {index}.",
        show_default=False,
        rich_help_panel=WRITING,
    ),
    Scope.MAKING,
]
Strip = Annotated[
    bool,
    typer.Option(
        "--strip",
        help="Write pixels only: no metadata, colour profile or recipe.",
        rich_help_panel=WRITING,
    ),
    Scope.PICTURE,
]
Preserve = Annotated[
    bool,
    typer.Option(
        "--preserve",
        help="Keep all metadata of the photo, GPS position included, and the date of its file. "
        "Default: date, camera, title and author, but no places or serial numbers.",
        rich_help_panel=WRITING,
    ),
    Scope.PICTURE,
]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        "--max-pixels",
        min=1,
        metavar="N",
        help="Most pixels (width times height) a picture may have; larger ones fail. Default: 89 "
        "million.",
        show_default=False,
        rich_help_panel=SELECTION,
    ),
    Scope.MAKING,
]


@dataclass(frozen=True, eq=False, repr=False)
class SheetWriting:
    """Options for the files of pictures of many photos, and of those photos."""

    format_: SheetFormat = None
    quality: Quality = None
    name: SheetName = None
    strip: Strip = False
    max_pixels: MaxPixels = None

    @property
    def pictures(self) -> PictureOptions:
        """The options as the library takes them; a UsageError if one is out of range."""
        keep: Keep = "nothing" if self.strip else "telling"
        return PictureOptions(self.format_, self.quality, self.name, keep)


@dataclass(frozen=True, eq=False, repr=False)
class PhotoWriting:
    """Options for the files of pictures of one photo each, and of those photos."""

    format_: Format = None
    quality: Quality = None
    name: NameTemplate = None
    preserve: Preserve = False
    strip: Strip = False
    max_pixels: MaxPixels = None

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
