"""Estimates the peak of a process's memory on a processor, before it makes a picture.

The form of the estimate is what takes memory; its constants were fitted to resident memory at its
peak, with ONNX Runtime 1.32 on Linux: docs/decisions/0024-memory.md has the numbers. They hold for
vgg16 and squeezenet1_1 within 20 %. Other networks count by their own weights and activations.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .network_facts import network_loads
from .network_sessions import KEPT_SESSIONS

if TYPE_CHECKING:
    from nstbatch.runtime.bundles.bundle import Bundle
    from nstbatch.runtime.checks import Pooling
    from nstbatch.runtime.descent.optimizers import Optimizer

FLOAT = 4
"""Bytes of a value."""

# Bytes of the process with its libraries, in the loop of a descent and in a search.
RESTING, RESTING_SEARCH = 204 * 2**20, 165 * 2**20

# Times the weights: each session lays its own copies out for its kernels, there and back.
OF_WEIGHTS = 4.4


@dataclass(frozen=True)
class PassCost:
    """The memory of an objective's passes: values for each activation, and for each pixel."""

    activations: float
    pixels: float


# What the backward pass computes, and what the arena holds for two sizes. Gram matrices of five
# layers take more than the activations of one, and views of the picture some pictures more.
GRAM_PASS = PassCost(5.5, 0)
DREAM_PASS = PassCost(1.4, 350)
CONTENT_PASS = PassCost(5.5, 0)

# Times the optimiser's state: that of two sizes while it is resampled, and the copies for it.
OF_STATE = 2.2

# Times the activations of a batch of images that are only looked at, and not kept for a way back.
OF_SEARCH = 0.5

# Sessions of steps that are kept at most, each with that of its updates.
MOST_STEPS = KEPT_SESSIONS // 2

SCALES_KEPT = KEPT_SESSIONS // 4
"""Scales whose sessions are kept at most, each with those of its updates and its two targets."""


def peak_of_descent(
    bundle: Bundle,
    steps: Sequence[Collection[str]],
    cost: PassCost,
    optimizer: Optimizer,
    pooling: Pooling,
    shape: tuple[int, int],
    batch: int = 1,
) -> int:
    """Return the estimated peak for pictures that are optimised, in bytes.

    Args:
        bundle: The network.
        steps: Layers of the objective of every session of steps: one for each size.
        cost: The cost of the objective's passes.
        optimizer: The optimiser.
        pooling: Pooling variant of the network.
        shape: Height and width of the pictures.
        batch: Number of pictures that are stepped together.
    """
    loads = network_loads(bundle, pooling)
    weights = sorted((max(loads[layer][0] for layer in layers) for layers in steps), reverse=True)
    deepest = max(loads[layer][1] for layers in steps for layer in layers)
    state = sum(map(math.prod, optimizer.state_shapes((1, 3, *shape)).values()))
    of_pixel = cost.activations * deepest + cost.pixels
    of_pictures = of_pixel * math.prod(shape) + OF_STATE * state
    return int(RESTING + FLOAT * (OF_WEIGHTS * sum(weights[:MOST_STEPS]) + batch * of_pictures))


def peak_of_search(
    bundle: Bundle, layers: Collection[str], shape: tuple[int, int], batch: int
) -> int:
    """Return the estimated peak for images whose activations are searched, in bytes.

    Args:
        bundle: The network.
        layers: The layers.
        shape: Height and width of the images.
        batch: Number of images that are looked at together.
    """
    loads = network_loads(bundle, "max")
    weights = max(loads[layer][0] for layer in layers)
    deepest = max(loads[layer][1] for layer in layers)
    of_images = OF_SEARCH * batch * deepest * math.prod(shape)
    return int(RESTING_SEARCH + FLOAT * (2 * OF_WEIGHTS * weights + of_images))
