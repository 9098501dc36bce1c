"""``nstbatch dream``: photos, classes and films, as a network would have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import typer

from nstbatch.cli.console.logs import set_verbosity
from nstbatch.cli.jobs.effort import Effort
from nstbatch.cli.options import dream as own
from nstbatch.cli.options import painting as cli
from nstbatch.cli.options.config import Config
from nstbatch.cli.options.invocation import invocation
from nstbatch.runtime.checks import Pooling
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.pictures.films import Video
from nstbatch.runtime.systems.dream_options import (
    FILM_ITERATIONS,
    ClassPictureOptions,
    DreamOptions,
    ZoomOptions,
)

from .carry_out import BatchOptions, carry_out, picture_options
from .dream_painters import Film, Network, dreams_of_photos, films, pictures_of_classes

DEFAULTS = DreamOptions()
ZOOM_DEFAULTS = ZoomOptions()
DEFAULT_MODEL = "squeezenet1_1"  # the fastest, and the one with classes

# What says nothing to a picture of a class, and to a dream that is no film.
OF_PHOTOS = (
    "inputs",
    "layer",
    "channels",
    "guide",
    "octaves",
    "octave_scale",
    "step_size",
    "jitter",
)
OF_FILMS = ("zoom", "video", "fps")
OF_PICTURES = ("format_", "quality", "preserve", "strip")


def dream(
    context: typer.Context,
    inputs: own.Inputs = None,
    out: cli.Out = own.DEFAULT_OUT,
    recursive: cli.Recursive = False,
    overwrite: cli.Overwrite = False,
    dry_run: cli.DryRun = False,
    fail_fast: cli.FailFast = False,
    layer: own.LayerName = None,
    channels: own.Channels = None,
    guide: own.Guide = None,
    octaves: own.Octaves = DEFAULTS.octaves,
    octave_scale: own.OctaveScale = DEFAULTS.octave_scale,
    step_size: own.StepSize = DEFAULTS.step_size,
    jitter: own.Jitter = DEFAULTS.jitter,
    classes: own.Classes = None,
    frames: own.Frames = None,
    zoom: own.Zoom = ZOOM_DEFAULTS.zoom,
    video: own.VideoKind = "mp4",
    fps: own.FramesPerSecond = own.DEFAULT_FPS,
    size: own.Size = None,
    iterations: own.Iterations = None,
    seed: own.Seed = DEFAULTS.seed,
    pooling: cli.PoolingName = DEFAULTS.pooling,
    model: cli.Model = DEFAULT_MODEL,
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
    """Let a network paint what it sees: in photos, of a class, or as an endless zoom.

    With photos, DeepDream: what a layer sees in them is made more of.
    With --class, a picture of a class of the network, from noise.
    With --frames, a film: dream after dream, scaled up in between.

    Prints the path of each picture or film it has made, or with --json a line
    each; all else goes to standard error. What is there already is skipped.

    Exit codes: 0 all done or already there, 1 some failed, 2 wrong usage,
    3 no photo found, 130 interrupted.
    """
    set_verbosity(quiet=quiet, verbose=verbose)
    pictures = picture_options(format_, quality, name, preserve=preserve, strip=strip)
    batch = BatchOptions(
        *(out, recursive, overwrite, dry_run, fail_fast, as_json, quiet),
        *(report, watch_progress, watch_port),
        invocation=invocation(context),
        pictures=pictures,
    )
    network = Network(model, device, precision, threads)
    if iterations is None and frames is not None:
        iterations = FILM_ITERATIONS
    given = {"size": size, "iterations": iterations}
    shared: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    shared |= {"seed": seed, "pooling": cast("Pooling", pooling)}
    if classes:
        _refuse(context, (*OF_PHOTOS, "frames", *OF_FILMS, "name"), "does not go with --class")
        work = pictures_of_classes(classes, ClassPictureOptions(**shared), network, batch)
        raise typer.Exit(carry_out(work.plan, work.painter, batch, engine=work.engine))

    options = DreamOptions(
        layer=layer,
        channels=own.parse_channels(channels),
        octaves=octaves,
        octave_scale=octave_scale,
        step_size=step_size,
        jitter=jitter,
        **shared,
    )
    if frames is not None:
        _refuse(context, OF_PICTURES, "does not go with --frames; --video says what is made")
        if not inputs:
            _refuse(context, ("name",), "needs a photo")
        film = Film(ZoomOptions(frames, zoom), cast("Video", video), fps)
        work = films(inputs or [], options, film, guide, network, batch)
    elif inputs:
        _refuse(context, OF_FILMS, "needs --frames")
        work = dreams_of_photos(inputs, options, guide, network, batch)
    else:
        raise UsageError(
            "Give a photo to dream of; or --class for the picture of a class, or --frames for a "
            "film from noise."
        )
    sources = {"guide": guide}
    effort = Effort(options.size, options.iterations * options.octaves * (frames or 1))
    raise typer.Exit(
        carry_out(
            work.plan, work.painter, batch, engine=work.engine, sources=sources, effort=effort
        )
    )


def _refuse(context: typer.Context, names: Sequence[str], why: str) -> None:
    """Raise a UsageError for the first of these parameters that was given."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in names and source is not None and source.name != "DEFAULT":
            shown = parameter.opts[0] if parameter.opts[0].startswith("-") else "A photo"
            raise UsageError(f"{shown} {why}.")
