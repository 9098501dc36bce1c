"""``nstbatch bench``: measures the speed of this machine, in turns with PyTorch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nstbatch.benchmarks.options import BenchOptions, parse_entries, parse_numbers
from nstbatch.cli.console.logs import set_verbosity
from nstbatch.cli.options.bench import (
    DEFAULT_AGAINST,
    DEFAULT_BATCHES,
    DEFAULT_PROVIDERS,
    DEFAULT_SIZES,
    DEFAULTS,
    Against,
    Batches,
    JsonFile,
    MarkdownFile,
    NoProgress,
    PlotFile,
    Providers,
    Rounds,
    Sizes,
    Stages,
    Steps,
    Verb,
    WarmUp,
)
from nstbatch.cli.options.computing import Model, Threads
from nstbatch.cli.options.reporting import Verbose
from nstbatch.cli.parsing.switches import PlainCommand, PlainGroup
from nstbatch.cli.text import printable
from nstbatch.runtime.errors import ImageError, UsageError

from .bench_output import Files, print_comparison, print_report

if TYPE_CHECKING:
    from nstbatch.benchmarks.reports.report import Report

bench = typer.Typer(cls=PlainGroup, no_args_is_help=False)

Before = Annotated[
    Path,
    typer.Argument(metavar="BEFORE", help="Report written by bench --json.", show_default=False),
]
After = Annotated[
    Path, typer.Argument(metavar="AFTER", help="Report to compare with it.", show_default=False)
]


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
    quiet: NoProgress = False,
    verbose: Verbose = False,
) -> None:
    """Measure the speed of each device, in turns with PyTorch.

    Prints a table. A device that is missing or fails gets a row that says why.
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


@bench.command(cls=PlainCommand)
def compare(before: Before, after: After) -> None:
    """Compare two reports, row by row.

    A speed-up of 2 means that AFTER takes half the time of BEFORE.
    """
    from nstbatch.benchmarks.reports.compare import compare as compare_reports
    from nstbatch.benchmarks.reports.compare import read_report

    print_comparison(compare_reports(read_report(before), read_report(after)))


def _refuse_options(context: typer.Context) -> None:
    """Raise a UsageError if ``bench compare`` was given options of a measurement."""
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
