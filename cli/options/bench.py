"""The options of ``nstbatch bench``: each name, help text and default."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nstbatch.benchmarks.options import PEERS, PROVIDERS, VERBS, BenchOptions, as_list
from nstbatch.cli.parsing.panels import COMPUTING, REPORTING

DEFAULTS = BenchOptions()
DEFAULT_PROVIDERS = as_list(DEFAULTS.providers)
DEFAULT_AGAINST = as_list(DEFAULTS.against)
DEFAULT_SIZES = as_list(DEFAULTS.sizes)
DEFAULT_BATCHES = as_list(DEFAULTS.batches)

TURNS = "How it is measured"

Verb = Annotated[
    str,
    typer.Option(
        "--verb",
        metavar="|".join(VERBS),
        help="Command whose steps are measured.",
        rich_help_panel=TURNS,
    ),
]
Providers = Annotated[
    str,
    typer.Option(
        "--providers",
        metavar="DEVICE[:PRECISION],...",
        help=f"Devices to measure: {', '.join(PROVIDERS)}. An unusable device shows why.",
        rich_help_panel=COMPUTING,
    ),
]
Against = Annotated[
    str,
    typer.Option(
        "--against",
        metavar="BASELINE,...",
        help=f"Ways to run PyTorch to compare with: {', '.join(PEERS)}; '' for none.",
        rich_help_panel=COMPUTING,
    ),
]
Sizes = Annotated[
    str,
    typer.Option(
        "--sizes",
        metavar="PIXELS,...",
        help="Sides of the square pictures.",
        rich_help_panel=TURNS,
    ),
]
Batches = Annotated[
    str,
    typer.Option(
        "--batch",
        metavar="N,...",
        help="Pictures in a batch.",
        rich_help_panel=TURNS,
    ),
]
Rounds = Annotated[
    int,
    typer.Option(
        "--rounds",
        metavar="N",
        help="Number of rounds; every contestant takes one turn in each.",
        rich_help_panel=TURNS,
    ),
]
Steps = Annotated[
    int,
    typer.Option(
        "--steps",
        metavar="N",
        help="Timed steps in a turn, after one untimed step.",
        rich_help_panel=TURNS,
    ),
]
WarmUp = Annotated[
    int,
    typer.Option(
        "--warm-up",
        metavar="N",
        help="Steps before the first turn; losses and pictures are compared after them.",
        rich_help_panel=TURNS,
    ),
]
Stages = Annotated[
    bool,
    typer.Option(
        "--stages/--no-stages",
        help="Also time the stages of one picture on each device, from file to file.",
        rich_help_panel=TURNS,
    ),
]
NoProgress = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="Print the table and no progress.", rich_help_panel=REPORTING
    ),
]
JsonFile = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar="FILE",
        help="Write the report with all samples as JSON; - for standard output.",
        allow_dash=True,
        show_default=False,
        rich_help_panel=REPORTING,
    ),
]
MarkdownFile = Annotated[
    Path | None,
    typer.Option(
        "--markdown",
        metavar="FILE",
        help="Write the tables as Markdown; - for standard output.",
        allow_dash=True,
        show_default=False,
        rich_help_panel=REPORTING,
    ),
]
PlotFile = Annotated[
    Path | None,
    typer.Option(
        "--plot",
        metavar="FILE",
        help="Plot time against size and batch, as .png, .svg or .pdf; needs matplotlib.",
        show_default=False,
        rich_help_panel=REPORTING,
    ),
]
Side = Annotated[
    int,
    typer.Option(
        "--size",
        metavar="PIXELS",
        min=1,
        help="Side of the square picture.",
        rich_help_panel=TURNS,
    ),
]
Before = Annotated[
    Path,
    typer.Argument(metavar="BEFORE", help="Report written by bench --json.", show_default=False),
]
After = Annotated[
    Path, typer.Argument(metavar="AFTER", help="Report to compare with it.", show_default=False)
]
