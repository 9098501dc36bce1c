"""``--method``: the way in which ``nstbatch stylize`` paints."""

from __future__ import annotations

from typing import Annotated

import typer

from nstbatch.cli.jobs.parameters import NEUTRAL, Scope
from nstbatch.cli.parsing.panels import PICTURE, complete
from nstbatch.runtime.checks import one_of

from .methods import METHODS
from .preset import use_preset


def _load(context: typer.Context, name: str) -> str:
    """Check the name, and let a preset that was read before mean that of this method.

    Raises:
        UnknownNameError: There is no such method.
    """
    one_of("method", name, METHODS)
    preset = context.params.get("preset")
    if preset is not None and not context.resilient_parsing:
        use_preset(context, preset, name)
    return name


MethodName = Annotated[
    str,
    typer.Option(
        "--method",
        metavar="|".join(METHODS),
        callback=_load,
        is_eager=True,  # before the options that its presets have the defaults of
        help="gatys compares statistics of the whole style; nnst (neural neighbors) composes the "
        "picture of the style's nearest details.",
        autocompletion=complete(METHODS),
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
    NEUTRAL,
]
Stylization = Annotated[
    float,
    typer.Option(
        "--stylization",
        metavar="X",
        help="nnst: how far the picture moves away from the photo, from 0 to 1.",
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
    NEUTRAL,
]
