"""What dreams can be told, with their defaults: one definition for library and commands.

Nothing heavy is imported here, so that the command line can show the defaults without numpy.
"""

from __future__ import annotations

from dataclasses import dataclass

from nstbatch.runtime.checks import POOLINGS, Pooling, above, at_least, one_of
from nstbatch.runtime.errors import UsageError

# Chosen by eye on examples/photos: deep enough for forms, not so deep that they get lost.
DREAM_LAYERS = {
    "squeezenet1_1": "fire7/concat",
    "vgg16": "relu4_3",
    "alexnet": "relu4",
}


@dataclass(frozen=True)
class DreamOptions:
    """How a photo dreams.

    Attributes:
        size: Long side of the result, in pixels.
        layer: What it sees more and more of; None for the bundle's own, `DREAM_LAYERS`.
        channels: Those of the layer that count; None for all.
        octaves: How many sizes to work through, coarse to fine; 1 is the full size alone.
        octave_scale: From size to size.
        iterations: Steps at each size.
        step_size: Mean change of a sample in one step, of 255.
        jitter: How far the picture is moved before each step, at most, in pixels either way.
        seed: Of the jitter.
        pooling: Which variant of the network to use, "avg" or "max".

    Raises:
        UsageError: For a value that is out of range, naming the option.
    """

    size: int = 512  # as of a stylized photo
    layer: str | None = None
    channels: tuple[int, ...] | None = None
    # google/deepdream, dream.ipynb: deepdream and make_step.
    octaves: int = 4
    octave_scale: float = 1.4
    iterations: int = 10
    step_size: float = 1.5
    jitter: int = 32
    seed: int = 0
    pooling: Pooling = "max"  # as the networks were trained, and as in google/deepdream

    def __post_init__(self) -> None:
        one_of("pooling", self.pooling, POOLINGS)
        for name in ("size", "octaves", "iterations"):
            at_least(name, getattr(self, name), 1)
        for name in ("jitter", "seed"):
            at_least(name, getattr(self, name), 0)
        above("octave_scale", self.octave_scale, 1)
        above("step_size", self.step_size, 0)
        if self.channels is not None and not self.channels:
            raise UsageError("The channels name none.")


@dataclass(frozen=True)
class ClassPictureOptions:
    """How a picture of a class comes about.

    Attributes:
        size: Height and width of the result, in pixels.
        iterations: Optimiser steps.
        learning_rate: Of Adam, on the coefficients of `nstbatch.runtime.objectives.spectrum`.
        tv_weight: Weight of the total variation, against the class's score.
        jitter: How far the window is moved before each step, at most, in pixels either way.
        zoom: How much larger or smaller the picture is seen in a step, at most.
        seed: Of the first noise and of the windows.
        pooling: Which variant of the network to use, "avg" or "max".

    Raises:
        UsageError: For a value that is out of range, naming the option.
    """

    size: int = 224  # what the networks were trained with
    # These five were chosen by eye on squeezenet1_1: docs/decisions/0011-class-pictures.md.
    iterations: int = 200
    learning_rate: float = 0.03  # lucid's Adam has 0.05 (optvis/render.py: make_vis_T)
    tv_weight: float = 8000.0
    jitter: int = 24
    zoom: float = 1.4
    seed: int = 0
    pooling: Pooling = "max"  # as the classifier was trained

    def __post_init__(self) -> None:
        one_of("pooling", self.pooling, POOLINGS)
        for name in ("size", "iterations"):
            at_least(name, getattr(self, name), 1)
        for name in ("jitter", "seed", "tv_weight"):
            at_least(name, getattr(self, name), 0)
        at_least("zoom", self.zoom, 1)
        above("learning_rate", self.learning_rate, 0)


# Of a frame, in place of DreamOptions' own: they add up from frame to frame. Chosen by eye; with
# google/deepdream's 10 the colours are at their bounds after ten frames.
FILM_ITERATIONS = 3


@dataclass(frozen=True)
class ZoomOptions:
    """A film of a dream: every frame is dreamed on from the one before, which is scaled up.

    Attributes:
        frames: How many.
        zoom: From frame to frame.

    Raises:
        UsageError: For a value that is out of range, naming the option.
    """

    frames: int = 120
    zoom: float = 1.05  # google/deepdream, dream.ipynb: s = 0.05

    def __post_init__(self) -> None:
        at_least("frames", self.frames, 1)
        at_least("zoom", self.zoom, 1)
