"""Synthetic pictures, for uses that need no particular photo."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def photo_like(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Clouds with the amplitude spectrum of photos, 1/f (Field 1987), mostly grey.

    The strengths of contrast and colours are guesses.

    Args:
        rng: Source of randomness.
        height: Height in pixels.
        width: Width in pixels.

    Returns:
        (3, height, width), RGB in [0, 1].
    """
    down, right = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)
    frequency = np.maximum(np.hypot(down, right), 1 / max(height, width))
    spectrum = np.fft.fft2(rng.standard_normal((4, height, width))) / frequency
    clouds = np.fft.ifft2(spectrum).real
    clouds /= clouds.std(axis=(1, 2), keepdims=True)
    picture = 1 / (1 + np.exp(-clouds[:1] - 0.5 * clouds[1:]))
    return picture.astype(np.float32)
