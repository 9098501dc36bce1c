"""The options that name the styles, and say how large they are seen."""

from __future__ import annotations

from typing import Annotated

import typer

from nstbatch.cli.jobs.parameters import NEUTRAL, Scope
from nstbatch.cli.parsing.panels import PICTURE, complete
from nstbatch.runtime.style.style_sizes import StyleSizes

TRIMS = ("auto", "off")

Styles = Annotated[
    list[str],
    typer.Option(
        "--style",
        "-s",
        metavar="IMAGE|FOLDER",
        help="The picture whose style the photos get, such as a painting. If repeated, or a "
        "folder, the styles are blended; --style monet.jpg=2 gives one a weight.",
    ),
    Scope.PICTURE,
]
EachStyle = Annotated[
    bool,
    typer.Option(
        "--each-style",
        help="Paint every photo in every style, in place of one blend, and make a sheet of all.",
        rich_help_panel=PICTURE,
    ),
    Scope.MAKING,
]
TrimStyle = Annotated[
    str,
    typer.Option(
        "--trim-style",
        metavar="|".join(TRIMS),
        help="auto cuts a plain frame off the style, such as a scan's black border.",
        autocompletion=complete(TRIMS),
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
    NEUTRAL,
]
StyleScale = Annotated[
    float,
    typer.Option(
        "--style-scale",
        metavar="X",
        help="Size of the style as a multiple of the picture's: more gives larger strokes.",
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
    NEUTRAL,
]
StyleSize = Annotated[
    int | None,
    typer.Option(
        "--style-size",
        metavar="PIXELS",
        help="Long side of the style at the last scale, in place of --style-scale.",
        show_default=False,
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
    NEUTRAL,
]

DEFAULT_SCALE = StyleSizes.style_scale
