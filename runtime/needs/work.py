"""How much a run computes: the pixels that it goes through."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.checks import Pooling

from .network_facts import receptive_fields

if TYPE_CHECKING:
    from nstbatch.runtime.graphs.receptive_field import ReceptiveField

# A step goes through the network forward and backward, and the way back costs about twice the way
# forward. In tiles the way forward is taken twice.
TWICE_FORWARD = 4 / 3

# What a size of a run costs beside its steps, in steps: the loss of its last picture, and a way
# forward for each of its two targets.
BESIDE_STEPS = 1 + 2 / 3


def pixels_of_steps(
    sizes: Iterable[tuple[tuple[int, int], float]],
    tile: int | None,
    bundle: Bundle,
    layers: Collection[str],
    pooling: Pooling,
) -> float:
    """Return the pixels that all steps of a run go through, the overlap of tiles included.

    Args:
        sizes: Height and width of the picture at each size, with its margin, and the steps there.
        tile: Side in pixels of the tiles of larger pictures; None if there are none.
        bundle: The network.
        layers: Its layers in use; one that sees the whole picture counts as any other.
        pooling: Its pooling variant.
    """
    if tile is None:
        return sum(steps * math.prod(size) for size, steps in sizes)
    from nstbatch.runtime.graphs.receptive_field import ReceptiveField, Window  # imports onnx

    found = receptive_fields(bundle, pooling)
    fields = {
        layer: ReceptiveField(Window(*numbers[:3]), Window(*numbers[3:]))
        for layer in layers
        if (numbers := found[layer]) is not None
    }
    return sum(steps * _in_tiles(size, tile, fields) for size, steps in sizes)


def _in_tiles(size: tuple[int, int], tile: int, fields: Mapping[str, ReceptiveField]) -> float:
    """Return the pixels of the windows of a picture, as passes over the whole picture count."""
    if max(size) <= tile or not fields:
        return math.prod(size)
    from nstbatch.runtime.tiles.plan import plan_tiles

    tiling = plan_tiles(size, tile, fields)
    if len(tiling) == 1:
        return math.prod(size)
    return TWICE_FORWARD * len(tiling) * math.prod(tiling.size)
