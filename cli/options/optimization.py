"""Options of the optimisation that several verbs share."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nstbatch.cli.jobs.parameters import NEUTRAL, Scope
from nstbatch.cli.parsing.panels import OPTIMIZATION, PICTURE, complete
from nstbatch.runtime.checks import OPTIMIZER_NAMES, OWN, PADDINGS, POOLINGS, Own


def parse_side(value: str | int) -> int | Own:
    """Read a long side: a number of pixels, or "own".

    Raises:
        typer.BadParameter: It is neither.
    """
    if value == OWN:
        return OWN
    try:
        return int(value)
    except ValueError:
        raise typer.BadParameter(
            f"{value!r} is no number of pixels, nor {OWN!r} for the photo's own."
        ) from None


def own_if_bounded(context: typer.Context, value: Any) -> Any:
    """Return the size to use: with --max-size alone, each photo's own."""
    source = context.get_parameter_source("size")
    is_bounded = context.params.get("max_size") or context.lookup_default("max_size")
    return OWN if is_bounded and source is not None and source.name == "DEFAULT" else value


def side_option(text: str, *, show_default: bool = True) -> Any:
    """Return ``--size`` for the long side of photos' pictures, with this help text."""
    return typer.Option(
        "--size",
        metavar=f"PIXELS|{OWN}",
        parser=parse_side,
        callback=own_if_bounded,
        help=text,
        show_default=show_default,
        rich_help_panel=PICTURE,
    )


def max_size_option(text: str) -> Any:
    """Return ``--max-size`` with this help text."""
    return typer.Option(
        "--max-size",
        min=1,
        metavar="PIXELS",
        help=text,
        show_default=False,
        rich_help_panel=PICTURE,
    )


# Typer takes no union of types, and with a parser it needs none.
Size = Annotated[
    Any,
    side_option(f"Long side of the pictures; {OWN} keeps that of each photo."),
    Scope.PICTURE,
]
MaxSize = Annotated[
    int | None,
    max_size_option(
        "Upper limit of the long side; with it no photo is enlarged. Without --size, photos up to "
        "this limit keep their own size."
    ),
    Scope.PICTURE,
    NEUTRAL,
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
        rich_help_panel=OPTIMIZATION,
    ),
    Scope.PICTURE,
]
OptionalScales = Annotated[
    int | None,
    typer.Option(
        "--scales",
        metavar="N",
        help="Number of scales: sizes to work through, from small to full size. Default: 4, but "
        "without those below 128 pixels.",
        rich_help_panel=OPTIMIZATION,
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
        rich_help_panel=OPTIMIZATION,
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
        rich_help_panel=OPTIMIZATION,
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
        rich_help_panel=OPTIMIZATION,
    ),
    Scope.PICTURE,
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed",
        metavar="N",
        help="Random seed; another one gives other noise to start from.",
        rich_help_panel=OPTIMIZATION,
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
        rich_help_panel=OPTIMIZATION,
    ),
    Scope.PICTURE,
]
PaddingName = Annotated[
    str,
    typer.Option(
        "--padding",
        metavar="|".join(PADDINGS),
        help="What the network's first convolution sees beyond the picture: zeros, with a margin "
        "that is cut off at the end; or the pixels of the edge, with hardly any margin.",
        autocompletion=complete(PADDINGS),
        rich_help_panel=OPTIMIZATION,
    ),
    Scope.PICTURE,
    NEUTRAL,
]
