"""``nstbatch bench``: measures the speed of this machine, in turns with PyTorch."""

from __future__ import annotations

import typer

from nstbatch.benchmarks.options import BenchOptions, parse_entries, parse_numbers
from nstbatch.cli.console.logs import set_verbosity
from nstbatch.cli.options.bench import (
    DEFAULT_AGAINST,
    DEFAULT_BATCHES,
    DEFAULT_PROVIDERS,
    DEFAULT_SIZES,
    DEFAULTS,
    After,
    Against,
    Batches,
    Before,
    JsonFile,
    MarkdownFile,
    NoProgress,
    PlotFile,
    Providers,
    Rounds,
    Side,
    Sizes,
    Stages,
    Steps,
    Verb,
    WarmUp,
)
from nstbatch.cli.options.computing import Model, Threads
from nstbatch.cli.options.reporting import Verbose
from nstbatch.cli.parsing.switches import PlainCommand, PlainGroup
from nstbatch.cli.report.bench_output import (
    Files,
    print_comparison,
    print_report,
    print_styles,
    reported,
)
from nstbatch.runtime.errors import UsageError

bench = typer.Typer(cls=PlainGroup, no_args_is_help=False)


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
    from nstbatch.benchmarks.contest.contest import run

    report = reported(lambda tell: run(options, tell), quiet)
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


@bench.command(cls=PlainCommand)
def styles(
    providers: Providers = DEFAULT_PROVIDERS,
    model: Model = DEFAULTS.model,
    threads: Threads = DEFAULTS.threads,
    size: Side = 256,
    rounds: Rounds = DEFAULTS.rounds,
    steps: Steps = DEFAULTS.steps,
    warm_up: WarmUp = DEFAULTS.warm_up,
    json_file: JsonFile = None,
    markdown_file: MarkdownFile = None,
    quiet: NoProgress = False,
) -> None:
    """Compare the presets, style losses and methods of stylize, in turns.

    Prints a table: the time of a step, and an estimate for a picture.
    """
    from nstbatch.benchmarks.styles.contest import compare_ways

    options = BenchOptions(
        model=model,
        providers=parse_entries(providers),
        against=(),
        rounds=rounds,
        steps=steps,
        warm_up=warm_up,
        threads=threads,
    )
    files = Files(json_file, markdown_file, None)
    files.check()
    report = reported(lambda tell: compare_ways(options, size, tell), quiet)
    print_styles(report, to_stderr=files.use_standard_output)
    files.write_texts(report.to_json(), report.to_markdown())


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
