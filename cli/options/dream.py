"""The options of ``nstbatch dream`` alone; those it shares are in :mod:`.painting`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.pictures.films import VIDEOS
from nstbatch.runtime.systems.dream_options import (
    FILM_ITERATIONS,
    ClassPictureOptions,
    DreamOptions,
)

from .painting import PAINTING

DEFAULT_OUT = Path("dreamed")
DEFAULT_FPS = 15.0  # a guess: a zoom of 1.05 then doubles the picture every second

OF_PHOTOS, OF_CLASSES = DreamOptions(), ClassPictureOptions()

PHOTO = "A photo, or a film"
CLASSES = "A class"
FILM = "A film"

Inputs = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="INPUT",
        help="Photos, and folders of photos; none for --class, or for --frames from noise.",
        show_default=False,
    ),
]
Size = Annotated[
    int | None,
    typer.Option(
        "--size",
        metavar="PIXELS",
        help=f"Long side of the pictures; {OF_PHOTOS.size}, or {OF_CLASSES.size} for a class.",
        show_default=False,
        rich_help_panel=PAINTING,
    ),
]
Iterations = Annotated[
    int | None,
    typer.Option(
        "--iterations",
        "-n",
        metavar="N",
        help=f"Steps at each octave: {OF_PHOTOS.iterations}, or {FILM_ITERATIONS} in a film; "
        f"or {OF_CLASSES.iterations} for a class.",
        show_default=False,
        rich_help_panel=PAINTING,
    ),
]
LayerName = Annotated[
    str | None,
    typer.Option(
        "--layer",
        metavar="LAYER",
        help="What it sees, more of it; the model's own by default.",
        show_default=False,
        rich_help_panel=PHOTO,
    ),
]
Channels = Annotated[
    list[str] | None,
    typer.Option(
        "--channels",
        metavar="N,...",
        help="Channels of the layer that count; all by default. May be repeated.",
        show_default=False,
        rich_help_panel=PHOTO,
    ),
]
Guide = Annotated[
    Path | None,
    typer.Option(
        "--guide",
        metavar="IMAGE",
        help="Another picture, whose features are sought in the photo.",
        show_default=False,
        rich_help_panel=PHOTO,
    ),
]
Octaves = Annotated[
    int,
    typer.Option(
        "--octaves",
        metavar="N",
        help="Sizes to work through, coarse to fine.",
        rich_help_panel=PHOTO,
    ),
]
OctaveScale = Annotated[
    float,
    typer.Option(
        "--octave-scale", metavar="X", help="From octave to octave.", rich_help_panel=PHOTO
    ),
]
StepSize = Annotated[
    float,
    typer.Option(
        "--step-size",
        metavar="X",
        help="Mean change of a pixel in a step, of 255.",
        rich_help_panel=PHOTO,
    ),
]
Jitter = Annotated[
    int,
    typer.Option(
        "--jitter",
        metavar="PIXELS",
        help="How far the photo is moved before a step, at most.",
        rich_help_panel=PHOTO,
    ),
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
]
Frames = Annotated[
    int | None,
    typer.Option(
        "--frames",
        metavar="N",
        help="Make a film: each frame is dreamed on from the one before, scaled up.",
        show_default=False,
        rich_help_panel=FILM,
    ),
]
Zoom = Annotated[
    float,
    typer.Option("--zoom", metavar="X", help="From frame to frame.", rich_help_panel=FILM),
]
VideoKind = Annotated[
    str,
    typer.Option(
        "--video",
        metavar="|".join(VIDEOS),
        help="What is made of the frames, beside their folder.",
        rich_help_panel=FILM,
    ),
]
FramesPerSecond = Annotated[
    float,
    typer.Option("--fps", metavar="X", help="Frames a second.", rich_help_panel=FILM),
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed", metavar="N", help="Of the jitter and the noise.", rich_help_panel=PAINTING
    ),
]


def parse_channels(values: Sequence[str] | None) -> tuple[int, ...] | None:
    """Read ``["11,42", "7"]`` as ``(11, 42, 7)``; None where the option was not given.

    Raises:
        UsageError: For what is no number, and for no channel.
    """
    if not values:
        return None
    words = [word.strip() for value in values for word in value.split(",") if word.strip()]
    try:
        channels = tuple(dict.fromkeys(map(int, words)))
    except ValueError:
        raise UsageError(f"--channels takes numbers, not {','.join(words)!r}.") from None
    if not channels:
        raise UsageError("--channels names none.")
    return channels


def parse_classes(values: Sequence[str]) -> tuple[str, ...]:
    """Read ``["banana,954", "crane"]`` as ``("banana", "954", "crane")``.

    Raises:
        UsageError: For no class.
    """
    words = (word.strip() for value in values for word in value.split(","))
    classes = tuple(dict.fromkeys(word for word in words if word))
    if not classes:
        raise UsageError("--class names none.")
    return classes
