"""``nstbatch deconv``: what a network's filters respond to."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Protocol, cast

import typer

from nstbatch.cli.console.logs import set_verbosity
from nstbatch.cli.exit_codes import INTERRUPTED
from nstbatch.cli.options import painting as cli
from nstbatch.runtime.deconvnet.options import RULES, DeconvnetOptions, FilterChoice, Rule
from nstbatch.runtime.errors import UsageError

if TYPE_CHECKING:
    from nstbatch.cli.deconv.outcomes import SheetOutcome, SheetReporter
    from nstbatch.cli.jobs.painting import Stop
    from nstbatch.cli.jobs.plan import Unreadable
    from nstbatch.runtime.deconvnet.deconvnet import Deconvnet

DEFAULTS = DeconvnetOptions()
DEFAULT_OUT = Path("deconv")

VISUALISING = "What is visualised"

Layer = Annotated[
    list[str] | None,
    typer.Option(
        "--layer",
        "-l",
        metavar="LAYER,...",
        help="The layers whose filters to look at; `nstbatch models NAME` lists them. "
        "May be repeated. With --compare the first ReLU by default, or one for each network.",
        show_default=False,
        rich_help_panel=VISUALISING,
    ),
]
Filters = Annotated[
    str,
    typer.Option(
        "--filters",
        metavar="0-15,42|all|strongest[:N]",
        help=f"Which filters; strongest are the {FilterChoice.strongest} that fire the most "
        "strongly.",
        rich_help_panel=VISUALISING,
    ),
]
RuleName = Annotated[
    str,
    typer.Option(
        "--rule",
        metavar="|".join(RULES),
        help="What a ReLU does on the way back to the pixels.",
        autocompletion=lambda incomplete: [rule for rule in RULES if rule.startswith(incomplete)],
        rich_help_panel=VISUALISING,
    ),
]
Size = Annotated[
    int,
    typer.Option(
        "--size",
        metavar="PIXELS",
        help="Side of the square that every image is brought to.",
        rich_help_panel=VISUALISING,
    ),
]
Checkpoints = Annotated[
    list[Path] | None,
    typer.Option(
        "--checkpoints",
        metavar="FILE...",
        help="Weights of --model in training (.pth, .pt, .safetensors), from the first epoch on: "
        "the same filters, a column for each. Needs PyTorch.",
        show_default=False,
        rich_help_panel=VISUALISING,
    ),
]
Compare = Annotated[
    tuple[str, str] | None,
    typer.Option(
        "--compare",
        metavar="MODEL MODEL",
        help="Two networks side by side: first filters, activations, dead filters.",
        show_default=False,
        rich_help_panel=VISUALISING,
    ),
]
ModelOrSource = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME|FOLDER",
        help="The network: a name that `nstbatch models` lists, or a bundle's folder. With "
        "--checkpoints, what `nstbatch export` takes.",
        rich_help_panel=cli.RUNNING,
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        "--out", "-o", metavar="FOLDER", help="Where the sheets go.", rich_help_panel=VISUALISING
    ),
]
Recursive = Annotated[
    bool,
    typer.Option(
        "--recursive",
        "-r",
        help="Descend into the folders within folders.",
        rich_help_panel=VISUALISING,
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite", help="Draw again what is there already.", rich_help_panel=VISUALISING
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Show what would be drawn, and check it.", rich_help_panel=VISUALISING
    ),
]


def deconv(
    inputs: cli.Inputs,
    layer: Layer = None,
    filters: Filters = "strongest",
    rule: RuleName = DEFAULTS.rule,
    size: Size = DEFAULTS.size,
    checkpoints: Checkpoints = None,
    compare: Compare = None,
    out: Out = DEFAULT_OUT,
    recursive: Recursive = False,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    model: ModelOrSource = cli.DEFAULT_MODEL,
    device: cli.Device = "auto",
    precision: cli.Precision = "fp32",
    threads: cli.Threads = None,
    as_json: cli.Json = False,
    quiet: cli.Quiet = False,
    verbose: cli.Verbose = False,
) -> None:
    """Show what the filters of a network respond to, with a deconvnet.

    Finds the nine strongest activations of every filter over all images, and draws
    each, projected back to the pixels, beside the patch that it came from.

    Prints the path of each sheet it has drawn, or with --json a line a sheet;
    all else goes to standard error. What is there already is skipped.

    Exit codes: 0 all done or already there, 1 some failed, 2 wrong usage,
    3 no photo found, 130 interrupted.
    """
    set_verbosity(quiet=quiet, verbose=verbose)
    if checkpoints and compare:
        raise UsageError("--checkpoints and --compare exclude each other.")
    options = DeconvnetOptions(rule=cast("Rule", rule), size=size)
    choice = FilterChoice.parse(filters)
    layers = cli.parse_layers(layer) or ()
    images, unreadable = _find_images(inputs, out, recursive)

    from nstbatch.cli.deconv.outcomes import SheetReporter
    from nstbatch.runtime.deconvnet.deconvnet import Deconvnet

    def load(bundle: str | os.PathLike[str]) -> Deconvnet:
        return Deconvnet(bundle, options, device=device, precision=precision, threads=threads)

    with ExitStack() as stack:
        drawing: Drawing
        if compare:
            from nstbatch.cli.deconv.comparison import Comparison

            drawing = Comparison(
                (load(compare[0]), load(compare[1])), images, layers, out, overwrite
            )
        elif checkpoints:
            from nstbatch.cli.deconv.evolution import CheckpointSeries, Evolution

            folder = Path(stack.enter_context(TemporaryDirectory(prefix="nstbatch-")))
            series = CheckpointSeries(model, tuple(checkpoints), folder, load)
            drawing = Evolution(series, images, layers, choice, options, out, overwrite)
        else:
            from nstbatch.cli.deconv.sheets import FilterSheets

            drawing = FilterSheets(load(model), images, layers, choice, out, overwrite)
        drawing.check()
        reporter = SheetReporter(as_json=as_json, quiet=quiet)
        for place in unreadable:
            reporter.left_out({place.path: place.reason})
        raise typer.Exit(_show(drawing, reporter) if dry_run else _draw(drawing, reporter))


class Drawing(Protocol):
    """Sheets of one of the three kinds."""

    @property
    def out(self) -> Path:
        """Where they go."""

    def check(self) -> None:
        """Raise a UsageError for what is wrong with all sheets."""

    def planned(self) -> Iterable[SheetOutcome]:
        """What a dry run shows."""

    def draw(self, reporter: SheetReporter, stop: Stop) -> None:
        """Draw the sheets that are not there yet; a KeyboardInterrupt if ``stop`` says so."""


def _find_images(
    inputs: Iterable[Path], out: Path, recursive: bool
) -> tuple[list[Path], list[Unreadable]]:
    """Find the images, or end the command with exit code 3 where there is none."""
    from nstbatch.cli.jobs.plan import find_images

    from .carry_out import nothing_found

    inputs = list(inputs)
    images, unreadable = find_images(inputs, out, recursive=recursive)
    if not images and not unreadable:
        raise nothing_found(inputs, recursive=recursive)
    return images, unreadable


def _draw(drawing: Drawing, reporter: SheetReporter) -> int:
    from nstbatch.cli.batch.interrupt import Interrupt
    from nstbatch.cli.jobs.plan import make_writable

    make_writable(drawing.out)
    start = time.perf_counter()
    with Interrupt() as interrupt:
        try:
            drawing.draw(reporter, interrupt)
            interrupted = False
        except KeyboardInterrupt:
            interrupted = True
    reporter.summary(interrupted=interrupted, seconds=time.perf_counter() - start)
    return INTERRUPTED if interrupted else reporter.exit_code


def _show(drawing: Drawing, reporter: SheetReporter) -> int:
    for outcome in drawing.planned():
        reporter.finished(outcome)
    reporter.say("a dry run, nothing was drawn")
    return reporter.exit_code
