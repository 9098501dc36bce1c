"""``nstbatch stylize``: photos in the style of a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import typer

from nstbatch.cli.options.computing import ComputingTogether
from nstbatch.cli.options.methods import NNST, OTHERS
from nstbatch.cli.options.reporting import StepReporting
from nstbatch.cli.options.selection import Inputs, Selection
from nstbatch.cli.options.styles import Styles
from nstbatch.cli.options.stylize import DEFAULT_OUT, Stylizing
from nstbatch.cli.options.writing import PhotoWriting
from nstbatch.cli.parsing.refusal import refuse
from nstbatch.cli.parsing.with_groups import with_groups

from .batch_verb import batch_options
from .carry_out import carry_out
from .style_work import finish_sheet, style_work

if TYPE_CHECKING:
    from nstbatch.cli.options.methods import Method


@with_groups
def stylize(
    context: typer.Context,
    style: Styles,
    inputs: Inputs = None,
    selection: Selection = Selection(DEFAULT_OUT),
    stylizing: Stylizing = Stylizing(),
    computing: ComputingTogether = ComputingTogether(),
    writing: PhotoWriting = PhotoWriting(),
    reporting: StepReporting = StepReporting(),
) -> None:
    """Paint photos in the style of a picture, or of several.

    Prints the path of each new picture, or with --json one line for each photo.
    Messages go to standard error. Pictures that are already there are skipped.

    Exit codes: 0 all done or already there, 1 some failed, 2 wrong usage,
    3 no photo found, 130 interrupted.
    """
    batch = batch_options(context, selection, writing, reporting)
    method = cast("Method", stylizing.method)
    why = "does not go with" if method == NNST else "goes only with"
    refuse(context, OTHERS[method], f"{why} --method {NNST}")
    given = (style, inputs, stylizing, computing, batch)
    if method == NNST:
        from nstbatch.runtime.systems.nearest_neighbor_style import NearestNeighborStyle

        work = style_work(NearestNeighborStyle, stylizing.nearest_neighbor_options, *given)
    else:
        from nstbatch.runtime.systems.style_transfer import StyleTransfer

        work = style_work(StyleTransfer, stylizing.options, *given)
    code = carry_out(work, batch)
    finish_sheet(work, code, batch)
    raise typer.Exit(code)
