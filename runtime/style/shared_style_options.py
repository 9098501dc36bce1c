"""The options that all methods of style transfer have.

Imports nothing heavy, so the command line can show the defaults without numpy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from nstbatch.runtime.checks import (
    PADDINGS,
    Own,
    Padding,
    above,
    at_least,
    bound,
    flag,
    one_of,
    within,
)
from nstbatch.runtime.errors import UsageError

ColorMode = Literal["style", "photo", "luminance", "histogram", "covariance", "grey"]
Init = Literal["photo", "recolored", "noise", "image"]
Noise = Literal["white", "pink", "brown"]

COLOR_MODES: tuple[ColorMode, ...] = get_args(ColorMode)
INITS: tuple[Init, ...] = get_args(Init)
NOISES: tuple[Noise, ...] = get_args(Noise)

# A mean over about ten thousand iterates, more than any run has.
LARGEST_DECAY = 0.9999


@dataclass(frozen=True, kw_only=True)
class SharedStyleOptions:
    """The start, the size at which the style is seen, and the colours of the result.

    Attributes:
        init: Start: "photo", "recolored" (the photo with the mean and covariance of the style's
            colours), "noise", or "image", another image that is given separately.
        init_noise: Share of noise in a start from a picture, from 0 to 1.
        noise: Spectrum of the noise: "white"; "pink" or "brown", with more of the large waves.
        seed: Random seed for the noise.
        average_decay: Decay of an exponential mean of the iterates, which is shown in place of the
            last one, and with which each size ends and the next begins; 0 for the last one.
        histogram: True to match the colours of the style at the end.
        sharpen: How much of the fine detail is added at the end; 0 for nothing.
        color: Colours of the result: "style", those of the style; "photo", the photo's chroma with
            the luminance of the result; "luminance", likewise, after a run on luminances alone;
            "histogram" and "covariance", those of the photo, which the style is given before the
            run, by matching histograms or by a linear map; "grey", none.
        style_size: Long side of the style at the last scale, in pixels, and smaller in proportion
            before; None for ``style_scale``.
        style_scale: Long side of the style as a multiple of the picture's.
        padding: What the first convolution of the network sees beyond the picture: "zeros", which
            leave a frame, so that a margin is painted as well and cut off at the end; or
            "replicate", the pixels of the edge, with a margin only where a stride may leave out
            the last pixels.

    Raises:
        UsageError: A value is of another type or out of range, or both are given.
    """

    size: int | Own
    init: Init = "recolored"  # docs/decisions/0030-the-default-picture.md
    init_noise: float = 0.0
    noise: Noise = "white"
    seed: int = 0
    average_decay: float = 0.0
    histogram: bool = False
    sharpen: float = 0.0
    color: ColorMode = "style"
    style_size: int | None = None
    style_scale: float = 1.0  # neural-style: -style_scale
    padding: Padding = "zeros"

    def __post_init__(self) -> None:
        one_of("init", self.init, INITS)
        within("init_noise", self.init_noise, 0, 1)
        one_of("noise", self.noise, NOISES)
        within("average_decay", self.average_decay, 0, LARGEST_DECAY)
        flag("histogram", self.histogram)
        at_least("sharpen", self.sharpen, 0)
        one_of("color", self.color, COLOR_MODES)
        bound("style_size", self.style_size)
        above("style_scale", self.style_scale, 0)
        one_of("padding", self.padding, PADDINGS)
        if self.style_size is not None and self.style_scale != SharedStyleOptions.style_scale:
            raise UsageError("Give the style_size or the style_scale, not both.")

    @property
    def style_reading_size(self) -> int | Own:
        """The long side that the style is resized to at most; "own" if it depends on the photo."""
        if self.style_size is not None:
            return self.style_size
        return self.size if isinstance(self.size, str) else math.ceil(self.size * self.style_scale)

    def style_scale_for(self, side: int) -> float:
        """Return the style's size as a multiple of the picture's, for a picture's long side."""
        return self.style_scale if self.style_size is None else self.style_size / side
