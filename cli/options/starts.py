"""The options for the picture that a style transfer starts from, and the steps at its end."""

from __future__ import annotations

from typing import Annotated

import typer

from nstbatch.cli.jobs.parameters import NEUTRAL, Scope
from nstbatch.cli.parsing.panels import FINISH, complete
from nstbatch.runtime.style.shared_style_options import NOISES

Start = Annotated[
    str,
    typer.Option(
        "--init",
        metavar="photo|recolored|noise|IMAGE",
        help="Picture to start from; recolored is the photo in the style's colours.",
        rich_help_panel=FINISH,
    ),
    Scope.PICTURE,
]
InitNoise = Annotated[
    float,
    typer.Option(
        "--init-noise",
        metavar="SHARE",
        help="Share of noise in a start from a picture, from 0 to 1.",
        rich_help_panel=FINISH,
    ),
    Scope.PICTURE,
    NEUTRAL,
]
NoiseName = Annotated[
    str,
    typer.Option(
        "--noise",
        metavar="|".join(NOISES),
        help="Spectrum of the noise: pink and brown have more of the large waves.",
        autocompletion=complete(NOISES),
        rich_help_panel=FINISH,
    ),
    Scope.PICTURE,
    NEUTRAL,
]
AverageDecay = Annotated[
    float,
    typer.Option(
        "--average-decay",
        metavar="DECAY",
        help="Show an exponential mean of the steps' pictures with this decay, such as 0.99; 0 "
        "shows the last one.",
        rich_help_panel=FINISH,
    ),
    Scope.PICTURE,
    NEUTRAL,
]
Histogram = Annotated[
    bool,
    typer.Option(
        "--histogram",
        help="Match the colours of the style at the end.",
        rich_help_panel=FINISH,
    ),
    Scope.PICTURE,
    NEUTRAL,
]
Sharpen = Annotated[
    float,
    typer.Option(
        "--sharpen",
        metavar="X",
        help="How much of the fine detail is added at the end, such as 0.5.",
        rich_help_panel=FINISH,
    ),
    Scope.PICTURE,
    NEUTRAL,
]
