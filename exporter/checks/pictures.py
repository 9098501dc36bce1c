"""Random pictures on which an exported graph is compared with PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.pictures.synthetic import photo_like

from .margins import Margin, least_margin

Draw: TypeAlias = Callable[[np.random.Generator, int, int], Array]
"""Random numbers, height, width -> a picture (3, height, width), RGB in [0, 1]."""

# Largest number of times that a picture is retouched, a guess. VGG-16 at 97x131 needs 3 on average,
# as does any network with several million decisions a picture, each time in another place.
RETOUCHES = 40

# Half the side of a patch, in pixels: more than the first convolutions see. A guess.
PATCH = 12


def flat_areas(rng: np.random.Generator, height: int, width: int) -> Array:
    """A dozen plain rectangles on a plain colour: pooling windows tie almost everywhere."""
    picture = np.empty((3, height, width), np.float32)
    picture[:] = rng.random((3, 1, 1))
    for _ in range(12):
        top, bottom = np.sort(rng.integers(0, height + 1, 2))
        left, right = np.sort(rng.integers(0, width + 1, 2))
        picture[:, top:bottom, left:right] = rng.random((3, 1, 1))
    return picture


PICTURES: Mapping[str, Draw] = {"photo-like": photo_like, "flat areas": flat_areas}


def clear_picture(
    network: nn.Module,
    draw: Draw,
    size: tuple[int, int],
    rng: np.random.Generator,
    errors: Sequence[Tensor],
) -> tuple[Tensor, Margin]:
    """A picture (1, 3, H, W) on which the network takes no close decision, see :mod:`.margins`.

    At a close decision, a patch of the picture is replaced by another picture's. That leaves most
    decisions alone; a whole new picture would have close decisions of its own.

    Returns:
        The picture and the margin of its closest decision. If no picture was clear, the clearest
        one and its margin.
    """
    picture = draw(rng, *size)
    found: list[tuple[Tensor, Margin]] = []
    for _ in range(1 + RETOUCHES):
        image = torch.from_numpy(picture[None])
        found.append((image, least_margin(network, image, errors)))
        margin = found[-1][1]
        if margin.is_clear:
            break
        picture = _retouched(picture, draw(rng, *size), margin.place)
    return max(found, key=lambda entry: entry[1].size)


def _retouched(picture: Array, other: Array, place: tuple[float, float]) -> Array:
    """A copy of the picture with the other's pixels around a place of :class:`.margins.Margin`."""
    row, column = (int(p * n) for p, n in zip(place, picture.shape[1:], strict=True))
    rows = slice(max(0, row - PATCH), row + PATCH)
    columns = slice(max(0, column - PATCH), column + PATCH)
    retouched = picture.copy()
    retouched[:, rows, columns] = other[:, rows, columns]
    return retouched
