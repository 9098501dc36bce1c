"""The loss on Fourier magnitudes: how strong each wave of a texture is, wherever it lies.

Liu, Gousseau & Xia 2016, "Texture Synthesis Through Convolutional Neural Networks and Spectrum
Constraints": half the squared distance to the nearest picture whose waves are as strong as the
exemplar's, with the exemplar's differences of phase between the colours. Waves across the whole
picture hold regular patterns straight, which no layer sees at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.formulas.formula import Formula

from .terms import Objective, Term


def magnitudes() -> Objective:
    """Loss on Fourier magnitudes; the caller gives the target, :func:`waves_of`."""
    loss = Formula("nstbatch.runtime.formulas.magnitudes", "magnitudes_loss")
    return Objective(((1.0, Term("spectrum", None, loss, given=True)),))


def waves_of(exemplar: Array, size: tuple[int, int]) -> Array:
    """The waves of an exemplar (h, w, 3) in a picture of another size, (1, 6, *size).

    A larger exemplar is cut to its middle. A smaller one lies amid its mean colour, and is made
    stronger, so that a pixel varies as much on average (Galerne, Gousseau & Morel 2011, "Random
    Phase Textures", section III). Of either, the periodic component counts: the jump from one edge
    to the opposite one is not of the texture.

    Returns:
        The orthonormal transform without the mean: real parts of the colours, then imaginary ones.
    """
    cut = _middle(exemplar, size).astype(np.float64)
    periodic = _periodic(cut)
    room = [(wanted - length) // 2 for wanted, length in zip(size, cut.shape, strict=False)]
    whole = np.zeros((*size, 3))
    places = tuple(
        slice(start, start + length) for start, length in zip(room, cut.shape, strict=False)
    )
    whole[places] = (periodic - periodic.mean(axis=(0, 1))) * np.sqrt(
        np.prod(size) / np.prod(cut.shape[:2])
    )
    waves = np.fft.fft2(whole, axes=(0, 1), norm="ortho").transpose(2, 0, 1)
    return np.concatenate([waves.real, waves.imag])[None].astype(np.float32)


def _middle(exemplar: Array, size: tuple[int, int]) -> Array:
    height, width = (min(lengths) for lengths in zip(exemplar.shape, size, strict=False))
    top, left = (exemplar.shape[0] - height) // 2, (exemplar.shape[1] - width) // 2
    return exemplar[top : top + height, left : left + width]


def _periodic(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Remove the smooth component that makes up for the jumps across the edges of (H, W, 3).

    Moisan 2011, "Periodic plus Smooth Image Decomposition": its Laplacian is those jumps.
    """
    height, width, _ = pixels.shape
    jumps = np.zeros_like(pixels)
    jumps[0] += pixels[0] - pixels[-1]
    jumps[-1] += pixels[-1] - pixels[0]
    jumps[:, 0] += pixels[:, 0] - pixels[:, -1]
    jumps[:, -1] += pixels[:, -1] - pixels[:, 0]
    down = 2 * np.cos(2 * np.pi * np.fft.fftfreq(height))[:, None, None]
    right = 2 * np.cos(2 * np.pi * np.fft.fftfreq(width))[None, :, None]
    laplacian = 4.0 - down - right
    laplacian[0, 0] = 1  # the mean, which the jumps do not have
    smooth = np.fft.ifft2(np.fft.fft2(jumps, axes=(0, 1)) / laplacian, axes=(0, 1)).real
    return np.asarray(pixels - smooth)
