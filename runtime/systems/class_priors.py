"""How a picture of a class is stored, and how the network sees it: its image prior.

Gradients in pixels favour high frequencies, so a picture that is optimised in pixels is noise that
the network responds to. A prior is a change of coordinates that makes pictures more likely.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.descent.loop import Varying
from nstbatch.runtime.objectives.crops import CROPS, Crops
from nstbatch.runtime.objectives.phases import PHASES, Phases
from nstbatch.runtime.objectives.spectrum import SPECTRUM, Spectrum
from nstbatch.runtime.objectives.views import View

from .dream_options import ClassPictureOptions


@dataclass(frozen=True, kw_only=True, eq=False)
class Canvas:
    """The picture of a run, in the coordinates of a prior."""

    first: Array
    """(1, 3, h, w): where to start."""
    views: tuple[View, ...]
    """From these coordinates to what the network sees; the first one makes the picture."""
    constants: Mapping[str, Array]
    """Constant inputs of the views, by their names in a step graph."""
    varying: Varying
    """Draws the other inputs for every step."""
    picture: Callable[[Array], Array]
    """From the coordinates (N, 3, h, w) to pictures (N, 3, H, W), RGB in [0, 1]."""
    crops: int = 1
    """Number of pictures that the network sees of one."""


def canvas(options: ClassPictureOptions) -> Canvas:
    """Return the first picture of the prior that the options name."""
    made = _PRIORS[options.prior](options)
    if not options.transparency:
        return made
    shown, *others = made.views
    return replace(made, views=(replace(shown, watched=True), *others))


def side_seen(options: ClassPictureOptions) -> int:
    """Return the height and width of what the network sees, in pixels."""
    return min(options.size, options.crop_size) if options.prior == "maco" else options.size


def _maco(options: ClassPictureOptions) -> Canvas:
    """Phases that move, of magnitudes that do not; seen in random crops with noise."""
    phases = Phases(options.size, options.size)
    first, drawn = _seeds(options)
    crops = Crops(
        options.crops,
        side_seen(options),
        options.smallest_crop,
        options.largest_crop,
        options.noise,
    )
    return Canvas(
        first=phases.first_phases(first),
        views=(PHASES, CROPS),
        constants=phases.constants(),
        varying=crops.random(options.size, options.size, drawn),
        picture=phases.picture,
        crops=options.crops,
    )


def _spectrum(options: ClassPictureOptions) -> Canvas:
    """Coefficients of the cosine transform, scaled by 1/f; seen through a random window."""
    spectrum = Spectrum(options.size, options.size)
    first, drawn = _seeds(options)
    return Canvas(
        first=spectrum.first_coefficients(first),
        views=(SPECTRUM,),
        constants=spectrum.constants(),
        varying=spectrum.random_window(options.jitter, options.zoom, drawn),
        picture=spectrum.picture,
    )


_PRIORS: Mapping[str, Callable[[ClassPictureOptions], Canvas]] = {
    "maco": _maco,
    "spectrum": _spectrum,
}


def _seeds(options: ClassPictureOptions) -> list[np.random.SeedSequence]:
    """Return the seeds of the first noise, and of what every step draws."""
    return np.random.SeedSequence(options.seed).spawn(2)
