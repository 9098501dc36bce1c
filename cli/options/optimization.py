"""Options of the optimisation that several verbs share."""

from __future__ import annotations

from typing import Annotated

import typer

from nstbatch.cli.jobs.parameters import Scope
from nstbatch.runtime.checks import OPTIMIZER_NAMES, POOLINGS

from .panels import PICTURE, complete

Size = Annotated[
    int,
    typer.Option(
        "--size", metavar="PIXELS", help="Long side of the pictures.", rich_help_panel=PICTURE
    ),
    Scope.PICTURE,
]
Iterations = Annotated[
    int,
    typer.Option(
        "--iterations",
        "-n",
        metavar="N",
        help="Optimiser steps, over all scales.",
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]
Scales = Annotated[
    int,
    typer.Option(
        "--scales",
        metavar="N",
        help="Number of scales: sizes to work through, from small to full size.",
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]
Optimizer = Annotated[
    str,
    typer.Option(
        "--optimizer",
        metavar="|".join(OPTIMIZER_NAMES),
        help="Optimisation method.",
        autocompletion=complete(OPTIMIZER_NAMES),
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        "--learning-rate",
        metavar="X",
        help="Step size. Default: the optimiser's own.",
        show_default=False,
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]
Tolerance = Annotated[
    float | None,
    typer.Option(
        "--tolerance",
        metavar="SHARE",
        help="End a scale early when the loss falls by less than this share in 20 steps, such as "
        "0.01. Default: take all steps.",
        show_default=False,
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed", metavar="N", help="Random seed of noise to start from.", rich_help_panel=PICTURE
    ),
    Scope.PICTURE,
]
PoolingName = Annotated[
    str,
    typer.Option(
        "--pooling",
        metavar="|".join(POOLINGS),
        help="Pooling of the network: average or maximum.",
        autocompletion=complete(POOLINGS),
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]
