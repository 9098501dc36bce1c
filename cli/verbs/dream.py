"""``nstbatch dream``: photos, classes and films, as a network would have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import typer

from nstbatch.cli.options.computing import ComputingApart
from nstbatch.cli.options.dream import (
    DEFAULT_MODEL,
    DEFAULT_OUT,
    Dreaming,
    Inputs,
    parse_channels,
    parse_classes,
)
from nstbatch.cli.options.reporting import StepReporting
from nstbatch.cli.options.selection import Selection
from nstbatch.cli.options.writing import PhotoWriting
from nstbatch.cli.parsing.refusal import refuse
from nstbatch.cli.parsing.with_groups import with_groups
from nstbatch.runtime.checks import Pooling
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.formats.picture_options import PictureOptions
from nstbatch.runtime.pictures.films import Video
from nstbatch.runtime.systems.dream_options import (
    FILM_ITERATIONS,
    ClassPictureOptions,
    DreamOptions,
    Prior,
    ZoomOptions,
)

from .batch_verb import batch_options
from .carry_out import Work, carry_out
from .dream_painters import Film, dreams_of_photos, films, pictures_of_classes
from .prepare import BatchOptions

# Options of photos, of classes and of films alone, and those that do not apply to films.
OF_PHOTOS = (
    "inputs",
    "max_size",
    "from_file",
    "layer",
    "channels",
    "guide",
    "octaves",
    "octave_scale",
    "step_size",
    "jitter",
)
OF_CLASSES = ("prior", "transparency")
OF_FILMS = ("zoom", "video", "fps")
OF_PICTURES = ("format_", "quality", "preserve", "strip")


@with_groups
def dream(
    context: typer.Context,
    inputs: Inputs = None,
    selection: Selection = Selection(DEFAULT_OUT),
    dreaming: Dreaming = Dreaming(),
    computing: ComputingApart = ComputingApart(DEFAULT_MODEL),
    writing: PhotoWriting = PhotoWriting(),
    reporting: StepReporting = StepReporting(),
) -> None:
    """Amplify what a network sees in photos, draw its classes, or make an endless zoom.

    With photos: DeepDream, which amplifies the activations of a layer.
    With --class: pictures of classes that the network knows, from noise.
    With --frames: a film, each frame dreamed from the one before, enlarged.

    Prints the path of each new picture or film, or with --json one line for each.
    Messages go to standard error. Pictures that are already there are skipped.

    Exit codes: 0 all done or already there, 1 some failed, 2 wrong usage,
    3 no photo found, 130 interrupted.
    """
    batch = batch_options(context, selection, writing, reporting)
    if dreaming.classes:
        others = (*OF_PHOTOS, "frames", *OF_FILMS, "name")
        refuse(context, others, "does not go with --class")
        options = ClassPictureOptions(
            prior=cast("Prior", dreaming.prior),
            transparency=dreaming.transparency,
            **_shared(dreaming),
        )
        names = parse_classes(dreaming.classes)
        work = pictures_of_classes(names, options, computing, batch)
    elif dreaming.frames is not None:
        work = _films(context, inputs, dreaming, computing, batch)
    elif inputs or batch.inputs.from_file:
        refuse(context, OF_FILMS, "needs --frames")
        refuse(context, OF_CLASSES, "needs --class")
        work = dreams_of_photos(inputs, _options(dreaming), dreaming.guide, computing, batch)
    else:
        raise UsageError(
            "Give a photo to dream of, --class for the picture of a class, or --frames for a film "
            "from noise."
        )
    raise typer.Exit(carry_out(work, batch))


def _films(
    context: typer.Context,
    inputs: Sequence[Any] | None,
    dreaming: Dreaming,
    computing: ComputingApart,
    batch: BatchOptions,
) -> Work:
    refuse(context, OF_CLASSES, "needs --class")
    refuse(context, OF_PICTURES, "does not go with --frames; --video says what is made")
    refuse(context, ("snapshots",), "does not go with --frames; the frames are on disk anyway")
    if batch.alone is not None:
        raise UsageError("A film has its frames beside it: give --out a folder.")
    if not (inputs or batch.inputs.from_file):
        refuse(context, ("name", "max_size"), "needs a photo")
    # The user's own defaults may have a format, of pictures, and snapshots.
    batch = replace(batch, pictures=PictureOptions(name=batch.pictures.name), snapshots=0)
    zoom = ZoomOptions(cast("int", dreaming.frames), dreaming.zoom)
    film = Film(zoom, cast("Video", dreaming.video), dreaming.fps)
    options = _options(dreaming, iterations=FILM_ITERATIONS)
    return films(inputs, options, film, dreaming.guide, computing, batch)


def _options(dreaming: Dreaming, **defaults: Any) -> DreamOptions:
    return DreamOptions(
        max_size=dreaming.max_size,
        layer=dreaming.layer,
        channels=parse_channels(dreaming.channels),
        octaves=dreaming.octaves,
        octave_scale=dreaming.octave_scale,
        step_size=dreaming.step_size,
        jitter=dreaming.jitter,
        **{**defaults, **_shared(dreaming)},
    )


def _shared(dreaming: Dreaming) -> dict[str, Any]:
    """Return the options of photos and classes alike, without those that were not given."""
    values = {
        "size": dreaming.size,
        "iterations": dreaming.iterations,
        "seed": dreaming.seed,
        "pooling": cast("Pooling", dreaming.pooling),
    }
    return {name: value for name, value in values.items() if value is not None}
