"""``nstbatch reconstruct``: what the layers of a network keep of an image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from nstbatch.cli.console.logs import set_verbosity
from nstbatch.cli.jobs.effort import Effort
from nstbatch.cli.options import painting as cli
from nstbatch.cli.options.config import Config
from nstbatch.cli.options.invocation import invocation
from nstbatch.cli.text import printable
from nstbatch.runtime.checks import OPTIMIZER_NAMES, Pooling
from nstbatch.runtime.checks import OptimizerName as Choice
from nstbatch.runtime.errors import NonFiniteError, UsageError
from nstbatch.runtime.systems.reconstruction_options import TV_SWEEP, ReconstructionOptions

from .carry_out import BatchOptions, carry_out, check_finished, find_photos, picture_options

if TYPE_CHECKING:
    from nstbatch.cli.jobs.painting import Painter, Painting, Stop
    from nstbatch.cli.jobs.plan import Job
    from nstbatch.runtime.descent.progress import ProgressCallback
    from nstbatch.runtime.systems.reconstruction import Reconstruction

DEFAULTS = ReconstructionOptions()
DEFAULT_OUT = Path("reconstructed")

Layers = Annotated[
    list[str] | None,
    typer.Option(
        "--layers",
        metavar="LAYER|GLOB|all,...",
        help="Layers to reconstruct from, such as 'relu*'; the last of every stage by default. "
        "May be repeated.",
        show_default=False,
    ),
]
SweepTv = Annotated[
    bool,
    typer.Option(
        "--sweep-tv",
        help=f"Reconstruct with each of {', '.join(f'{weight:g}' for weight in TV_SWEEP)} as "
        "--tv-weight, and print a table of the errors.",
    ),
]
Iterations = Annotated[
    int,
    typer.Option(
        "--iterations",
        "-n",
        metavar="N",
        help="Optimiser steps for each layer.",
        rich_help_panel=cli.PAINTING,
    ),
]
OptimizerName = Annotated[
    str | None,
    typer.Option(
        "--optimizer",
        metavar="|".join(OPTIMIZER_NAMES),
        help="What makes the steps; adam where there is jitter, and lbfgs elsewhere by default.",
        show_default=False,
        rich_help_panel=cli.PAINTING,
    ),
]
TvWeight = Annotated[
    float | None,
    typer.Option(
        "--tv-weight",
        metavar="X",
        help="How smooth it becomes (total variation); by the layer's depth by default.",
        show_default=False,
        rich_help_panel=cli.PAINTING,
    ),
]
TvBeta = Annotated[
    float,
    typer.Option(
        "--tv-beta",
        metavar="X",
        help="Exponent of the total variation, from 1 (patches) up.",
        rich_help_panel=cli.PAINTING,
    ),
]
AlphaWeight = Annotated[
    float | None,
    typer.Option(
        "--alpha-weight",
        metavar="X",
        help="How much extreme colours are avoided (alpha-norm); by the layer's depth by default.",
        show_default=False,
        rich_help_panel=cli.PAINTING,
    ),
]
Alpha = Annotated[
    float,
    typer.Option(
        "--alpha",
        metavar="X",
        help="Exponent of the alpha-norm, from 2 up.",
        rich_help_panel=cli.PAINTING,
    ),
]
Jitter = Annotated[
    int | None,
    typer.Option(
        "--jitter",
        metavar="PIXELS",
        help="Random shift of the image in every step; an eighth of the layer's stride by default, "
        "and none with lbfgs.",
        show_default=False,
        rich_help_panel=cli.PAINTING,
    ),
]


def reconstruct(
    context: typer.Context,
    inputs: cli.Inputs,
    layers: Layers = None,
    sweep_tv: SweepTv = False,
    out: cli.Out = DEFAULT_OUT,
    recursive: cli.Recursive = False,
    overwrite: cli.Overwrite = False,
    dry_run: cli.DryRun = False,
    fail_fast: cli.FailFast = False,
    size: cli.Size = DEFAULTS.size,
    iterations: Iterations = DEFAULTS.iterations,
    optimizer: OptimizerName = DEFAULTS.optimizer,
    learning_rate: cli.LearningRate = DEFAULTS.learning_rate,
    tv_weight: TvWeight = None,
    tv_beta: TvBeta = DEFAULTS.tv_beta,
    alpha_weight: AlphaWeight = DEFAULTS.alpha_weight,
    alpha: Alpha = DEFAULTS.alpha,
    jitter: Jitter = DEFAULTS.jitter,
    seed: cli.Seed = DEFAULTS.seed,
    pooling: cli.PoolingName = DEFAULTS.pooling,
    model: cli.Model = cli.DEFAULT_MODEL,
    device: cli.Device = "auto",
    precision: cli.Precision = "auto",
    threads: cli.Threads = None,
    format_: cli.Format = None,
    quality: cli.Quality = None,
    name: cli.NameTemplate = None,
    preserve: cli.Preserve = False,
    strip: cli.Strip = False,
    config: Config = None,
    report: cli.Report = False,
    watch_progress: cli.WatchProgress = False,
    watch_port: cli.WatchPort = None,
    as_json: cli.Json = False,
    quiet: cli.Quiet = False,
    verbose: cli.Verbose = False,
) -> None:
    """Reconstruct images from what the layers of a network keep of them.

    Makes a contact sheet of each image, with its errors in a .json beside it;
    reconstruction.csv has those of all images.

    Prints the path of each sheet it has made, or with --json a line an image;
    all else goes to standard error. What is there already is skipped.

    Exit codes: 0 all done or already there, 1 some failed, 2 wrong usage,
    3 no image found, 130 interrupted.
    """
    from .reconstruction_report import error_table, print_table, read_rows, write_csv

    set_verbosity(quiet=quiet, verbose=verbose)
    if sweep_tv and tv_weight is not None:
        raise UsageError("Give either --sweep-tv or --tv-weight.")
    options = ReconstructionOptions(
        layers=cli.parse_layers(layers),
        size=size,
        iterations=iterations,
        optimizer=cast("Choice | None", optimizer),
        learning_rate=learning_rate,
        tv_weights=TV_SWEEP if sweep_tv else None if tv_weight is None else (tv_weight,),
        tv_beta=tv_beta,
        alpha_weight=alpha_weight,
        alpha=alpha,
        jitter=jitter,
        seed=seed,
        pooling=cast("Pooling", pooling),
    )
    pictures = picture_options(format_, quality, name, preserve=preserve, strip=strip)
    batch = BatchOptions(
        *(out, recursive, overwrite, dry_run, fail_fast, as_json, quiet),
        *(report, watch_progress, watch_port),
        invocation=invocation(context),
        pictures=pictures,
    )
    plan = find_photos(inputs, batch, suffix=".png")
    reconstruction = _load(model, device, precision, threads, options)
    painter = _painter(reconstruction, options)
    layer_runs = len(reconstruction.layers(options)) * len(options.tv_weights or (1,))
    effort = Effort(options.size, options.iterations * layer_runs)
    code = carry_out(plan, painter, batch, engine=reconstruction.engine, effort=effort)
    rows = [] if dry_run else read_rows(out)
    if rows:
        write_csv(out, rows)
        if sweep_tv and not as_json:
            print_table(error_table(rows, reconstruction.engine.bundle.name))
    raise typer.Exit(code)


def _load(
    model: str,
    device: str,
    precision: str,
    threads: int | None,
    options: ReconstructionOptions,
) -> Reconstruction:
    """Load the network, and find out now whether it has what the options ask for.

    Raises:
        UsageError: It has not, or a layer is too deep for the size of the images.
    """
    from nstbatch.runtime.systems.reconstruction import Reconstruction

    reconstruction = Reconstruction(model, device=device, precision=precision, threads=threads)
    engine = reconstruction.engine
    engine.bundle.graph_path("gradient", options.pooling)
    names = [layer.name for layer in reconstruction.layers(options)]
    smallest, layer = engine.limits.largest_need(names, options.pooling)
    if options.size < smallest:
        raise UsageError(
            f"The size must be at least {smallest} for {layer}, not {options.size}; "
            "enlarge it, or choose --layers."
        )
    return reconstruction


def _painter(reconstruction: Reconstruction, options: ReconstructionOptions) -> Painter:
    from nstbatch.cli.jobs.painting import Painting
    from nstbatch.runtime.descent.loop import StopReason
    from nstbatch.runtime.systems.reconstruction_sheet import reconstruction_sheet

    from .reconstruction_report import layer_losses, record

    model = reconstruction.engine.bundle.name

    def paint(job: Job, progress: ProgressCallback, stop: Stop) -> Painting:
        result = reconstruction(job.input, options, progress=progress, stop=stop)
        if result.reason is StopReason.NON_FINITE:
            raise NonFiniteError(f"{result.layers[-1].layer}: {result.reason.value}")
        check_finished(result.reason)
        text = json.dumps(record(job.input, model, result, options), indent=1, allow_nan=False)
        return Painting(
            reconstruction_sheet(result, f"{printable(job.input.name)}, {model}"),
            None,
            layer_losses(result),
            result.steps,
            result.provider,
            result.precision,
            companions={".json": f"{text}\n".encode()},
        )

    return paint
