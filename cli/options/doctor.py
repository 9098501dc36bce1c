"""The options of ``nstbatch doctor``."""

from __future__ import annotations

from typing import Annotated

import typer

PictureSize = Annotated[
    str | None,
    typer.Option(
        "--size",
        metavar="WIDTHxHEIGHT",
        help="Also show what a picture of this size takes, such as 8000x6000, with each network.",
        show_default=False,
    ),
]
