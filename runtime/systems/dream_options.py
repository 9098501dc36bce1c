"""The options of dreams and their defaults: one definition for library and commands.

Imports nothing heavy, so the command line can show the defaults without numpy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from nstbatch.runtime.checks import (
    Own,
    Pooling,
    above,
    at_least,
    flag,
    one_of,
    several,
    shared_fields,
    text,
    whole,
    within,
)
from nstbatch.runtime.errors import UsageError

# Chosen by eye on examples/photos: deep enough for forms, not so deep that they dissolve.
DREAM_LAYERS = {
    "squeezenet1_1": "fire7/concat",
    "vgg16": "relu4_3",
    "alexnet": "relu4",
}

Prior = Literal["maco", "spectrum"]
PRIORS: tuple[Prior, ...] = get_args(Prior)

# Step sizes of Adam on phases, in radians, and on coefficients. Lucid's Adam has 0.05
# (optvis/render.py: make_vis_T).
LEARNING_RATES: Mapping[str, float] = {"maco": 0.2, "spectrum": 0.03}

_STRONGEST = re.compile(r"strongest(?::([1-9]\d*))?")

# Long side of a guide: the networks' training size. A larger guide has more features to compare
# each position with, and its objects are less likely to fit a receptive field. A guess.
GUIDE_SIZE = 224


@dataclass(frozen=True)
class DreamOptions:
    """Options of a DeepDream.

    Attributes:
        size: Long side of the result, in pixels; "own" for that of the photo.
        max_size: Upper bound of the long side, with which no photo is enlarged either; None for
            no bound.
        layer: Layer whose activations are amplified; None for the bundle's default,
            `DREAM_LAYERS`.
        channels: Channels of the layer that are amplified; None for all; "strongest" or
            "strongest:N" for the one or the N that respond most to each photo.
        octaves: Number of sizes to work through, coarse to fine; 1 is the full size alone.
        octave_scale: Ratio of two successive sizes.
        iterations: Steps at each size.
        step_size: Mean change of a sample in one step, out of 255.
        jitter: Largest random shift of the picture before each step, in pixels either way.
        seed: Random seed for the jitter.
        pooling: Pooling variant of the network, "avg" or "max".

    Raises:
        UsageError: For a value of another type or out of range, naming the option.
    """

    size: int | Own = 512  # as for a stylized photo
    max_size: int | None = None
    layer: str | None = None
    channels: tuple[int, ...] | str | None = None
    # google/deepdream, dream.ipynb: deepdream and make_step.
    octaves: int = 4
    octave_scale: float = 1.4
    iterations: int = 10
    step_size: float = 1.5
    jitter: int = 32
    seed: int = 0
    pooling: Pooling = "max"  # as the networks were trained, and as in google/deepdream

    def __post_init__(self) -> None:
        shared_fields(self)
        whole("octaves", self.octaves, 1)
        whole("jitter", self.jitter, 0)
        above("octave_scale", self.octave_scale, 1)
        above("step_size", self.step_size, 0)
        if self.layer is not None:
            text("layer", self.layer)
        if isinstance(self.channels, str):
            if not _STRONGEST.fullmatch(self.channels):
                raise UsageError(
                    f"The channels are numbers, or strongest or strongest:N, not {self.channels!r}."
                )
        elif self.channels is not None:
            several("channels", self.channels, "whole numbers")
            for channel in self.channels:
                whole("channel", channel)
            if not self.channels:
                raise UsageError("The channels need at least one number, or None for all.")

    @property
    def strongest(self) -> int | None:
        """Number of channels that each photo chooses; None if it does not choose."""
        if not isinstance(self.channels, str):
            return None
        match = _STRONGEST.fullmatch(self.channels)
        return int(match[1]) if match and match[1] else 1


@dataclass(frozen=True)
class ClassPictureOptions:
    """Options of a class picture.

    Attributes:
        size: Height and width of the result, in pixels.
        iterations: Optimiser steps.
        prior: How the picture is stored: as the phases of waves whose magnitudes are those of
            natural images ("maco"), or as a spectrum of cosines ("spectrum").
        learning_rate: Step size of Adam; None for that of the prior, `LEARNING_RATES`.
        transparency: True to make the places transparent that the class does not depend on.
        crops: With "maco", number of crops that the network sees in a step.
        crop_size: With "maco", largest height and width to which a crop is resized, in pixels.
        smallest_crop: With "maco", smallest side of a crop, as a share of the picture's.
        largest_crop: With "maco", largest side of a crop, as a share of the picture's.
        noise: With "maco", standard deviation of the noise that is added to the crops.
        tv_weight: With "spectrum", weight of the total variation, relative to the class's score.
        jitter: With "spectrum", largest random shift of the window before each step, in pixels
            either way.
        zoom: With "spectrum", largest random factor by which a step enlarges or shrinks the
            picture.
        seed: Random seed for the first noise, the crops and the windows.
        pooling: Pooling variant of the network, "avg" or "max".

    Raises:
        UsageError: For a value of another type or out of range, naming the option.
    """

    size: int = 224  # the networks' training size
    iterations: int = 200  # by eye on squeezenet1_1, as all of the following
    prior: Prior = "maco"
    learning_rate: float | None = None
    transparency: bool = False
    # docs/decisions/0029-phases-of-natural-images.md
    crops: int = 2
    crop_size: int = 160
    smallest_crop: float = 0.5
    largest_crop: float = 1.0
    noise: float = 0.08  # Fel et al. 2023
    # docs/decisions/0011-class-pictures.md
    tv_weight: float = 8000.0
    jitter: int = 24
    zoom: float = 1.4
    seed: int = 0
    pooling: Pooling = "max"  # as the classifier was trained

    def __post_init__(self) -> None:
        shared_fields(self)
        one_of("prior", self.prior, PRIORS)
        flag("transparency", self.transparency)
        for name, fewest in (("size", 1), ("crops", 1), ("crop_size", 1), ("jitter", 0)):
            whole(name, getattr(self, name), fewest)
        for name, lowest in (("noise", 0), ("zoom", 1)):
            at_least(name, getattr(self, name), lowest)
        within("smallest_crop", self.smallest_crop, 0.01, 1)
        within("largest_crop", self.largest_crop, 0.01, 1)
        if self.largest_crop < self.smallest_crop:
            raise UsageError("The largest_crop must be at least the smallest_crop.")


# Steps per frame, instead of DreamOptions' default: they add up from frame to frame. Chosen by eye;
# with google/deepdream's 10 the colours reach their bounds after ten frames.
FILM_ITERATIONS = 3


@dataclass(frozen=True)
class ZoomOptions:
    """Options of a zoom: every frame starts from the previous one, scaled up.

    Attributes:
        frames: Number of frames.
        zoom: Factor from frame to frame.

    Raises:
        UsageError: For a value of another type or out of range, naming the option.
    """

    frames: int = 120
    zoom: float = 1.05  # google/deepdream, dream.ipynb: s = 0.05

    def __post_init__(self) -> None:
        whole("frames", self.frames, 1)
        at_least("zoom", self.zoom, 1)
