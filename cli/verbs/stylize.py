"""``nstbatch stylize``: photos in the style of a picture."""

from __future__ import annotations

import typer

from nstbatch.cli.options.computing import ComputingTogether
from nstbatch.cli.options.reporting import StepReporting
from nstbatch.cli.options.selection import Inputs, Selection
from nstbatch.cli.options.styles import Styles
from nstbatch.cli.options.stylize import DEFAULT_OUT, Stylizing
from nstbatch.cli.options.writing import PhotoWriting
from nstbatch.cli.parsing.with_groups import with_groups

from .batch_verb import batch_options
from .carry_out import carry_out
from .style_work import finish_sheet, style_painting


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
    painting = style_painting(context, style, stylizing, computing, batch)
    work = painting.work(painting.find(inputs))
    code = carry_out(work, batch)
    finish_sheet(work, code, batch)
    raise typer.Exit(code)
