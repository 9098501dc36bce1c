"""The picture that a style transfer starts from: the photo, another one, noise, or a blend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.descent.pyramid import Level
from nstbatch.runtime.pictures.colours import recolored
from nstbatch.runtime.pictures.sizes import resize

from .paintings import Painting, palette
from .shared_style_options import Noise, SharedStyleOptions

# Amplitudes fall with frequency f by f^-power: those of natural images by about 1/f (Field 1987).
_POWERS: dict[Noise, float] = {"pink": 1.0, "brown": 2.0}
# Standard deviation of coloured noise around a middle grey; few values are clipped. A guess.
_DEVIATION = 0.2


def first_images(
    options: SharedStyleOptions, start: Array, paintings: Sequence[Painting], level: Level
) -> Array:
    """Return the first images, (1, 3, *canvas).

    Args:
        options: The options: init, init_noise, noise and seed.
        start: (H, W, 3), the photo or the picture that is given.
        paintings: The paintings, whose colours the start may get.
        level: The first size.
    """
    if options.init == "noise":
        return noise(options.noise, level.canvas, options.seed)
    if options.init == "recolored":
        colours = palette(paintings, max(level.height, level.width))
        start = recolored(resize(start, (level.height, level.width)), colours)
    images = level.fit(start)
    if options.init_noise == 0:
        return images
    share, mixed = np.float32(options.init_noise), noise(options.noise, level.canvas, options.seed)
    return np.asarray((1 - share) * images + share * mixed, dtype=np.float32)


def noise(kind: Noise, size: tuple[int, int], seed: int) -> Array:
    """Return noise in [0, 1], (1, 3, *size): white and uniform, or with a falling spectrum."""
    random = np.random.default_rng(seed)
    if kind == "white":
        return random.random((1, 3, *size), dtype=np.float32)
    down, across = np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1])
    frequencies = np.hypot(down, across)
    frequencies[0, 0] = np.inf  # no mean
    spectrum = np.fft.rfft2(random.standard_normal((1, 3, *size))) * frequencies ** -_POWERS[kind]
    waves = np.fft.irfft2(spectrum, size)
    values = 0.5 + _DEVIATION * waves / max(float(waves.std()), 1e-12)
    return np.asarray(np.clip(values, 0, 1), dtype=np.float32)
