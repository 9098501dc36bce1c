"""Pictures to compare an exported graph with PyTorch on, drawn at random."""

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

# How often a picture may be retouched. VGG-16 at 97x131 needs 3 times on average; so does any
# network whose pictures have several million decisions, each time in another place.
RETOUCHES = 40

# Pixels: less than a fiftieth of the smallest picture, more than the first convolutions see.
PATCH = 12


def flat_areas(rng: np.random.Generator, height: int, width: int) -> Array:
    """A dozen rectangles, each of one colour, on one more: pooling windows tie all over it."""
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

    Where there is one, a patch of the picture is replaced by another picture's. That leaves most
    decisions alone, while a whole new picture would have some close one as well.

    Returns:
        The picture and the margin of its closest decision. That is not clear if no picture's was;
        the picture is the clearest one then.
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
    """The picture with the other's pixels around a place; see :class:`.margins.Margin`."""
    row, column = (int(p * n) for p, n in zip(place, picture.shape[1:], strict=True))
    rows = slice(max(0, row - PATCH), row + PATCH)
    columns = slice(max(0, column - PATCH), column + PATCH)
    retouched = picture.copy()
    retouched[:, rows, columns] = other[:, rows, columns]
    return retouched
