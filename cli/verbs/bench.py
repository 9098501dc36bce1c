"""``nstbatch bench``: how fast this machine steps, in turns with PyTorch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nstbatch.benchmarks.options import (
    PEERS,
    PROVIDERS,
    VERBS,
    BenchOptions,
    as_list,
    parse_entries,
    parse_numbers,
)
from nstbatch.cli.console.logs import set_verbosity
from nstbatch.cli.options.computing import Model, Threads
from nstbatch.cli.options.panels import COMPUTING, REPORTING
from nstbatch.cli.options.reporting import Quiet, Verbose
from nstbatch.cli.text import printable
from nstbatch.runtime.errors import ImageError, UsageError

from .bench_output import Files, print_comparison, print_report

if TYPE_CHECKING:
    from nstbatch.benchmarks.reports.report import Report

DEFAULTS = BenchOptions()
DEFAULT_PROVIDERS = as_list(DEFAULTS.providers)
DEFAULT_AGAINST = as_list(DEFAULTS.against)
DEFAULT_SIZES = as_list(DEFAULTS.sizes)
DEFAULT_BATCHES = as_list(DEFAULTS.batches)

TURNS = "How it is measured"

bench = typer.Typer(no_args_is_help=False)

Verb = Annotated[
    str,
    typer.Option(
        "--verb",
        metavar="|".join(VERBS),
        help="Whose objective is stepped down.",
        rich_help_panel=TURNS,
    ),
]
Providers = Annotated[
    str,
    typer.Option(
        "--providers",
        metavar="DEVICE[:PRECISION],...",
        help=f"What is measured: {', '.join(PROVIDERS)}. One that is not there says why.",
        rich_help_panel=COMPUTING,
    ),
]
Against = Annotated[
    str,
    typer.Option(
        "--against",
        metavar="BASELINE,...",
        help=f"PyTorch, to compare with: {', '.join(PEERS)}. An empty text for none.",
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
        help="Pictures that a step moves at once.",
        rich_help_panel=TURNS,
    ),
]
Rounds = Annotated[
    int,
    typer.Option(
        "--rounds",
        metavar="N",
        help="Turns that each contestant has, one after the other.",
        rich_help_panel=TURNS,
    ),
]
Steps = Annotated[
    int,
    typer.Option(
        "--steps",
        metavar="N",
        help="Steps of a turn that count; one more goes before them.",
        rich_help_panel=TURNS,
    ),
]
WarmUp = Annotated[
    int,
    typer.Option(
        "--warm-up",
        metavar="N",
        help="Steps before the first turn. Losses and pictures are compared after these.",
        rich_help_panel=TURNS,
    ),
]
Stages = Annotated[
    bool,
    typer.Option(
        "--stages/--no-stages",
        help="Also take one picture from file to file on each device, and time its stages.",
        rich_help_panel=TURNS,
    ),
]
JsonFile = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar="FILE",
        help="Write the report as JSON, every sample in it; - for standard output.",
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
        help="Draw time against size and batch, as .png, .svg or .pdf; needs matplotlib.",
        show_default=False,
        rich_help_panel=REPORTING,
    ),
]
Before = Annotated[
    Path, typer.Argument(metavar="BEFORE", help="A report that --json wrote.", show_default=False)
]
After = Annotated[Path, typer.Argument(metavar="AFTER", help="Another one.", show_default=False)]


@bench.callback(invoke_without_command=True)
def measure(
    context: typer.Context,
    providers: Providers = DEFAULT_PROVIDERS,
    against: Against = DEFAULT_AGAINST,
    model: Model = DEFAULTS.model,
    threads: Threads = DEFAULTS.threads,
    verb: Verb = DEFAULTS.verb,
    sizes: Sizes = DEFAULT_SIZES,
    batch: Batches = DEFAULT_BATCHES,
    rounds: Rounds = DEFAULTS.rounds,
    steps: Steps = DEFAULTS.steps,
    warm_up: WarmUp = DEFAULTS.warm_up,
    stages: Stages = DEFAULTS.stages,
    json_file: JsonFile = None,
    markdown_file: MarkdownFile = None,
    plot_file: PlotFile = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Measure steps on each device, in turns with PyTorch.

    Prints a table. What is not there, or fails, is a row that says why.
    """
    if context.invoked_subcommand is not None:
        _refuse_options(context)
        return
    set_verbosity(quiet=quiet, verbose=verbose)
    options = BenchOptions(
        verb=verb,
        model=model,
        providers=parse_entries(providers),
        against=parse_entries(against),
        sizes=parse_numbers("--sizes", sizes),
        batches=parse_numbers("--batch", batch),
        rounds=rounds,
        steps=steps,
        warm_up=warm_up,
        threads=threads,
        stages=stages,
    )
    files = Files(json_file, markdown_file, plot_file)
    files.check()
    report = _run(options, quiet)
    print_report(report, to_stderr=files.use_standard_output)
    files.write(report)


@bench.command()
def compare(before: Before, after: After) -> None:
    """Compare two reports, row by row.

    A speed-up of 2 means that AFTER takes half the time of BEFORE.
    """
    from nstbatch.benchmarks.reports.compare import compare as hold_against
    from nstbatch.benchmarks.reports.compare import read_report

    print_comparison(hold_against(read_report(before), read_report(after)))


def _refuse_options(context: typer.Context) -> None:
    """Raise the UsageError of options that were given to a command that measures nothing."""
    sources = {
        option.opts[0]: context.get_parameter_source(str(option.name))
        for option in context.command.params
    }
    given = [name for name, source in sources.items() if source and source.name == "COMMANDLINE"]
    if given:
        raise UsageError(
            f"bench {context.invoked_subcommand} measures nothing: leave out {', '.join(given)}."
        )


def _run(options: BenchOptions, quiet: bool) -> Report:
    from nstbatch.benchmarks.contest.contest import run

    def log(line: str) -> None:
        if not quiet:
            print(printable(line), file=sys.stderr, flush=True)

    try:
        return run(options, log)
    except ImageError as error:
        raise UsageError(f"--sizes: {error}") from error
