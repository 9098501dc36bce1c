"""The options for regions of a picture that have styles of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nstbatch.cli.jobs.parameters import NEUTRAL, Scope
from nstbatch.cli.parsing.panels import STYLE

Mask = Annotated[
    Path | None,
    typer.Option(
        "--mask",
        metavar="IMAGE|FOLDER",
        help="Regions of the photo, as flat colours. Each gets the style's region of its colour; "
        "without --style-mask all but black get the style. A folder has a mask of each photo's "
        "name.",
        show_default=False,
        rich_help_panel=STYLE,
    ),
    Scope.PICTURE,
    NEUTRAL,
]
StyleMask = Annotated[
    list[Path] | None,
    typer.Option(
        "--style-mask",
        metavar="IMAGE|FOLDER",
        help="Regions of the style, in the colours of --mask. Repeated for several styles, in "
        "their order.",
        show_default=False,
        rich_help_panel=STYLE,
    ),
    Scope.PICTURE,
    NEUTRAL,
]
ContentMask = Annotated[
    Path | None,
    typer.Option(
        "--content-mask",
        metavar="IMAGE|FOLDER",
        help="Where the photo's content counts, such as faces: white fully, black not at all.",
        show_default=False,
        rich_help_panel=STYLE,
    ),
    Scope.PICTURE,
    NEUTRAL,
]
