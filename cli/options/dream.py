"""The options of ``nstbatch dream`` alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from nstbatch.cli.jobs.parameters import NEUTRAL, Scope
from nstbatch.cli.parsing.panels import PICTURE
from nstbatch.runtime.checks import OWN
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.pictures.films import VIDEOS
from nstbatch.runtime.systems.dream_options import (
    FILM_ITERATIONS,
    PRIORS,
    ClassPictureOptions,
    DreamOptions,
    ZoomOptions,
)

from .optimization import MaxSize, PoolingName, side_option

DEFAULT_OUT = Path("dreamed")
DEFAULT_FPS = 15.0  # a guess: a zoom of 1.05 then doubles the picture every second
DEFAULT_MODEL = "squeezenet1_1"  # the fastest, and the one with classes

OF_PHOTOS, OF_CLASSES, OF_ZOOM = DreamOptions(), ClassPictureOptions(), ZoomOptions()

PHOTO = "Photos and films"
CLASSES = "Classes"
FILM = "Films"

Inputs = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="INPUT",
        help="Photos, folders of photos, patterns such as '*.jpg', or - for standard input. None "
        "with --class, or for a film from noise.",
        show_default=False,
    ),
    Scope.PICTURE,
]
Size = Annotated[
    Any,
    side_option(
        f"Long side of the pictures; {OWN} keeps that of each photo. Default: {OF_PHOTOS.size}; "
        f"for classes {OF_CLASSES.size}.",
        show_default=False,
    ),
    Scope.PICTURE,
]
Iterations = Annotated[
    int | None,
    typer.Option(
        "--iterations",
        "-n",
        metavar="N",
        help=f"Steps at each octave. Default: {OF_PHOTOS.iterations}; {FILM_ITERATIONS} in films; "
        f"{OF_CLASSES.iterations} for classes.",
        show_default=False,
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]
LayerName = Annotated[
    str | None,
    typer.Option(
        "--layer",
        metavar="LAYER",
        help="Layer whose activations are amplified. Default: the network's own.",
        show_default=False,
        rich_help_panel=PHOTO,
    ),
    Scope.PICTURE,
]
Channels = Annotated[
    list[str] | None,
    typer.Option(
        "--channels",
        metavar="N,...|strongest[:N]",
        help="Channels of the layer to amplify; strongest:N are the N that respond most to each "
        "photo, N is 1 by default. Default: all. May be repeated.",
        show_default=False,
        rich_help_panel=PHOTO,
    ),
    Scope.PICTURE,
]
Guide = Annotated[
    Path | None,
    typer.Option(
        "--guide",
        metavar="IMAGE",
        help="Picture whose features are amplified in the photo.",
        show_default=False,
        rich_help_panel=PHOTO,
    ),
    Scope.PICTURE,
]
Octaves = Annotated[
    int,
    typer.Option(
        "--octaves",
        metavar="N",
        help="Number of sizes to work through, from small to full size.",
        rich_help_panel=PHOTO,
    ),
    Scope.PICTURE,
]
OctaveScale = Annotated[
    float,
    typer.Option(
        "--octave-scale",
        metavar="X",
        help="Size of an octave, relative to the one before.",
        rich_help_panel=PHOTO,
    ),
    Scope.PICTURE,
]
StepSize = Annotated[
    float,
    typer.Option(
        "--step-size",
        metavar="X",
        help="Mean change of a pixel in one step, from 0 to 255.",
        rich_help_panel=PHOTO,
    ),
    Scope.PICTURE,
]
Jitter = Annotated[
    int,
    typer.Option(
        "--jitter",
        metavar="PIXELS",
        help="Largest random shift of the photo before a step.",
        rich_help_panel=PHOTO,
    ),
    Scope.PICTURE,
]
Classes = Annotated[
    list[str] | None,
    typer.Option(
        "--class",
        metavar="CLASS,...",
        help="Make pictures of classes: names, parts of names or indices. May be repeated.",
        show_default=False,
        rich_help_panel=CLASSES,
    ),
    Scope.MAKING,
]
PriorName = Annotated[
    str,
    typer.Option(
        "--prior",
        metavar="|".join(PRIORS),
        help="How the picture of a class is stored: as waves of which only the phases move (maco), "
        "or as a spectrum of cosines.",
        rich_help_panel=CLASSES,
    ),
    Scope.PICTURE,
    NEUTRAL,
]
Transparent = Annotated[
    bool,
    typer.Option(
        "--transparency",
        help="Make the places of the picture transparent that its class does not depend on.",
        rich_help_panel=CLASSES,
    ),
    Scope.PICTURE,
    NEUTRAL,
]
Frames = Annotated[
    int | None,
    typer.Option(
        "--frames",
        metavar="N",
        help="Make a film of N frames. Each is dreamed from the one before, enlarged.",
        show_default=False,
        rich_help_panel=FILM,
    ),
    Scope.PICTURE,
]
Zoom = Annotated[
    float,
    typer.Option(
        "--zoom", metavar="X", help="Enlargement from frame to frame.", rich_help_panel=FILM
    ),
    Scope.PICTURE,
]
VideoKind = Annotated[
    str,
    typer.Option(
        "--video",
        metavar="|".join(VIDEOS),
        help="Format of the film; none keeps the folder of frames only.",
        rich_help_panel=FILM,
    ),
    Scope.PICTURE,
]
FramesPerSecond = Annotated[
    float,
    typer.Option("--fps", metavar="X", help="Frames per second.", rich_help_panel=FILM),
    Scope.PICTURE,
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed",
        metavar="N",
        help="Random seed for the jitter and the noise.",
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]


@dataclass(frozen=True, eq=False, repr=False)
class Dreaming:
    """All options of a dream, as the command line gives them."""

    layer: LayerName = None
    channels: Channels = None
    guide: Guide = None
    octaves: Octaves = OF_PHOTOS.octaves
    octave_scale: OctaveScale = OF_PHOTOS.octave_scale
    step_size: StepSize = OF_PHOTOS.step_size
    jitter: Jitter = OF_PHOTOS.jitter
    classes: Classes = None
    prior: PriorName = OF_CLASSES.prior
    transparency: Transparent = OF_CLASSES.transparency
    frames: Frames = None
    zoom: Zoom = OF_ZOOM.zoom
    video: VideoKind = "mp4"
    fps: FramesPerSecond = DEFAULT_FPS
    size: Size = None
    max_size: MaxSize = OF_PHOTOS.max_size
    iterations: Iterations = None
    seed: Seed = OF_PHOTOS.seed
    pooling: PoolingName = OF_PHOTOS.pooling


def parse_channels(values: Sequence[str] | None) -> tuple[int, ...] | str | None:
    """Read ``["11,42", "7"]`` as ``(11, 42, 7)``; None if the option was not given.

    ``["strongest:5"]`` stays a text, which the library checks.

    Raises:
        UsageError: A word is not a number, or there is no channel.
    """
    if not values:
        return None
    if len(values) == 1 and values[0].strip().startswith("strongest"):
        return values[0].strip()
    words = [word.strip() for value in values for word in value.split(",") if word.strip()]
    try:
        channels = tuple(dict.fromkeys(map(int, words)))
    except ValueError:
        raise UsageError(
            f"--channels takes numbers, or strongest:N, not {','.join(words)!r}."
        ) from None
    if not channels:
        raise UsageError("--channels needs at least one channel.")
    return channels


def parse_classes(values: Sequence[str]) -> tuple[str, ...]:
    """Read ``["banana,954", "crane"]`` as ``("banana", "954", "crane")``.

    Raises:
        UsageError: There is no class.
    """
    words = (word.strip() for value in values for word in value.split(","))
    classes = tuple(dict.fromkeys(word for word in words if word))
    if not classes:
        raise UsageError("--class needs at least one class name.")
    return classes
