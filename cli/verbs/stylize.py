"""``nstbatch stylize``: photos in the style of a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from nstbatch.cli.console.logs import set_verbosity
from nstbatch.cli.jobs.effort import Effort
from nstbatch.cli.options import painting as cli
from nstbatch.cli.options.config import Config
from nstbatch.cli.options.invocation import invocation
from nstbatch.cli.text import printable
from nstbatch.runtime.checks import OptimizerName, Pooling
from nstbatch.runtime.errors import ImageError, UsageError
from nstbatch.runtime.systems.style_transfer_options import Init, StyleTransferOptions

from .carry_out import (
    BatchOptions,
    carry_out,
    find_photos,
    painting_of,
    picture_options,
    read_picture,
    share,
)

if TYPE_CHECKING:
    from nstbatch.cli.jobs.painting import Painter, Painting, Stop
    from nstbatch.cli.jobs.plan import Job
    from nstbatch.runtime.descent.progress import ProgressCallback
    from nstbatch.runtime.pictures.images import Picture
    from nstbatch.runtime.systems.style_transfer import StyleTransfer

DEFAULTS = StyleTransferOptions()


def stylize(
    context: typer.Context,
    inputs: cli.Inputs,
    style: cli.Style,
    out: cli.Out = cli.DEFAULT_OUT,
    recursive: cli.Recursive = False,
    overwrite: cli.Overwrite = False,
    dry_run: cli.DryRun = False,
    fail_fast: cli.FailFast = False,
    size: cli.Size = DEFAULTS.size,
    iterations: cli.Iterations = DEFAULTS.iterations,
    scales: cli.Scales = DEFAULTS.scales,
    optimizer: cli.OptimizerName = DEFAULTS.optimizer,
    learning_rate: cli.LearningRate = DEFAULTS.learning_rate,
    content_weight: cli.ContentWeight = DEFAULTS.content_weight,
    style_weight: cli.StyleWeight = DEFAULTS.style_weight,
    tv_weight: cli.TvWeight = DEFAULTS.tv_weight,
    tolerance: cli.Tolerance = DEFAULTS.tolerance,
    style_layers: cli.StyleLayers = None,
    content_layers: cli.ContentLayers = None,
    init: cli.Start = DEFAULTS.init,
    seed: cli.Seed = DEFAULTS.seed,
    pooling: cli.PoolingName = DEFAULTS.pooling,
    model: cli.Model = cli.DEFAULT_MODEL,
    device: cli.Device = "auto",
    precision: cli.Precision = "auto",
    threads: cli.Threads = None,
    together: cli.Together = None,
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
    """Paint photos in the style of a picture.

    Prints the path of each picture it has made, or with --json a line a photo;
    all else goes to standard error. What is there already is skipped.

    Exit codes: 0 all done or already there, 1 some failed, 2 wrong usage,
    3 no photo found, 130 interrupted.
    """
    set_verbosity(quiet=quiet, verbose=verbose)
    init_path = None if init in ("photo", "noise") else Path(init)
    options = StyleTransferOptions(
        size=size,
        iterations=iterations,
        scales=scales,
        optimizer=cast("OptimizerName", optimizer),
        learning_rate=learning_rate,
        content_weight=content_weight,
        style_weight=style_weight,
        style_layers=cli.parse_weighted_layers(style_layers),
        content_layers=cli.parse_layers(content_layers),
        tv_weight=tv_weight,
        tolerance=tolerance,
        init="image" if init_path else cast("Init", init),
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
    style_picture = read_picture(style, "the style")
    init_picture = read_picture(init_path, "the --init image") if init_path else None
    plan = find_photos(inputs, batch, keep=[style, init_path] if init_path else [style])
    transfer = _load(model, device, precision, threads, options)
    _check_style(transfer, style, style_picture, options)
    painter = _painter(transfer, style_picture, init_picture, options)
    raise typer.Exit(
        carry_out(
            plan,
            painter,
            batch,
            engine=transfer.engine,
            sources={"style": style, "init": init_path},
            effort=Effort(options.size, options.iterations),
            at_once=share(
                transfer.engine,
                together,
                transfer.objective(options),
                options.optimizer,
                options.pooling,
                (options.size, options.size),
            ),
        )
    )


def _load(
    model: str,
    device: str,
    precision: str,
    threads: int | None,
    options: StyleTransferOptions,
) -> StyleTransfer:
    """Load the network, and find out now whether it has what the options ask for."""
    from nstbatch.runtime.engine.network_facts import check_graph
    from nstbatch.runtime.systems.style_transfer import StyleTransfer

    transfer = StyleTransfer(model, device=device, precision=precision, threads=threads)
    transfer.objective(options)
    check_graph(transfer.engine.bundle, "gradient", options.pooling)
    return transfer


def _check_style(
    transfer: StyleTransfer, path: Path, style: Picture, options: StyleTransferOptions
) -> None:
    """Find out now what would be wrong with every photo."""
    try:
        transfer.check_style(style, options)
    except ImageError as error:
        raise UsageError(f"{printable(path)} cannot be the style: {error}") from error


def _painter(
    transfer: StyleTransfer, style: Picture, init: Picture | None, options: StyleTransferOptions
) -> Painter:
    def paint(job: Job, progress: ProgressCallback, stop: Stop) -> Painting:
        result = transfer(
            job.input,
            style,
            options,
            init_image=init,
            checkpoint=job.checkpoint,
            progress=progress,
            stop=stop,
        )
        return painting_of(result)

    return paint
