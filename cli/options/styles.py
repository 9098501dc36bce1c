"""The options that name the styles, and say how they are seen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nstbatch.cli.jobs.parameters import NEUTRAL, Scope
from nstbatch.cli.parsing.panels import STYLE, complete
from nstbatch.runtime.style.shared_style_options import COLOR_MODES, SharedStyleOptions

TRIMS = ("auto", "off")

Styles = Annotated[
    list[Path],
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
        rich_help_panel=STYLE,
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
        rich_help_panel=STYLE,
    ),
    Scope.PICTURE,
    NEUTRAL,
]
Color = Annotated[
    str,
    typer.Option(
        "--color",
        metavar="|".join(COLOR_MODES),
        help="Colours of the picture: the style's; the photo's, put back at the end (photo), also "
        "with a run on luminance alone, or given to the style before (histogram, covariance); or "
        "none.",
        autocompletion=complete(COLOR_MODES),
        rich_help_panel=STYLE,
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
        rich_help_panel=STYLE,
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
        rich_help_panel=STYLE,
    ),
    Scope.PICTURE,
    NEUTRAL,
]

DEFAULT_COLOR = SharedStyleOptions.color
DEFAULT_SCALE = SharedStyleOptions.style_scale
