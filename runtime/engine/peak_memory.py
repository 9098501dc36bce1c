"""Estimates the peak of a process's memory before it makes a picture."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nstbatch.runtime.bundles.bundle import Bundle


def peak_memory(
    bundle: Bundle,
    layers: Collection[str],
    optimizer: str | None,
    scales: int,
    shape: tuple[int, int],
    batch: int = 1,
) -> int:
    """Return the estimated peak of a process's resident memory on the processor, in bytes.

    Args:
        bundle: The network.
        layers: Layers of the objective.
        optimizer: Name of the optimiser; None for one without a state.
        scales: Number of sizes that the picture is worked through.
        shape: Height and width of the picture.
        batch: Number of pictures that are stepped together.
    """
    return int(2e8 + 3000 * batch * math.prod(shape))
