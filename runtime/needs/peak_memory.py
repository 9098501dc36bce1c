"""Estimates the peak of a process's memory before it makes a picture: the machine's, or a GPU's.

The form of the estimate is what takes memory; its constants were fitted to resident memory at its
peak, with ONNX Runtime 1.32 on Linux: docs/decisions/0024-memory.md has the numbers. They hold for
vgg16 and squeezenet1_1 within 20 %. Other networks count by their own weights and activations.

On a GPU the constants were fitted to what ONNX Runtime allocates there for style transfer, on
libraries that compute nothing: docs/decisions/0040-memory-of-gpus.md. What CUDA itself takes, and
cuDNN's workspaces, come on top. **Not compared with a GPU yet.**
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nstbatch.runtime import scratch

from .network_facts import network_loads

if TYPE_CHECKING:
    from nstbatch.runtime.bundles.bundle import Bundle
    from nstbatch.runtime.checks import Pooling, StyleLoss
    from nstbatch.runtime.descent.optimizers import Optimizer

FLOAT = 4
"""Bytes of a value."""

# Bytes of the process with its libraries, in the loop of a descent and in a search.
RESTING, RESTING_SEARCH = 204 * 2**20, 165 * 2**20


@dataclass(frozen=True)
class PassCost:
    """The values in memory for each weight, each activation, and each pixel of a picture."""

    weights: float
    """In each session of steps, which lays them out for its kernels, there and back."""
    activations: float
    """Up to the deepest layer: there, back, and what the arena still holds of the size before."""
    pixels: float


GRAM_PASS = PassCost(4.4, 5.5, 0)
DREAM_PASS = PassCost(6.0, 1.4, 350)
CONTENT_PASS = PassCost(4.4, 2.7, 200)
STYLE_PASSES: Mapping[StyleLoss, PassCost] = {
    "gram": GRAM_PASS,
    # docs/decisions/0036-regular-textures.md has the measurements.
    "shifted-gram": replace(GRAM_PASS, activations=10),
    "sliced": replace(GRAM_PASS, activations=7),
}
SEARCH_PASS = PassCost(8.8, 0.53, 0)


def columns_pass(depth: int) -> PassCost:
    """The cost of passes with hypercolumns of so many values, one for each 4 by 4 pixels.

    docs/decisions/0028-nearest-neighbors.md has the measurements.
    """
    return replace(GRAM_PASS, pixels=7.3 * depth / 16)


# Values for each pixel of a whole picture in tiles: images, gradient, targets, and reading.
# Fitted at 1024 pixels: within 12 % for squeezenet1_1, and for vgg16 with Adam.
OF_WHOLE = 100

# The same where those of the whole picture are in files: the levels of the file that is read or
# written, 3 bytes, and a byte to spare. Fitted with squeezenet1_1 and Adam from 2000 to 8000 pixels
# (docs/decisions/0041-pictures-on-disk.md).
OF_WHOLE_ON_DISK = 1
# Bytes of a GPU that sessions take at rest, such as workspaces.
RESTING_GPU = 10 * 2**20
# On a GPU, in fp32: the activations of the targets, of one picture at a time. In the precision of
# the steps: those of the steps, and values for each pixel, at all sizes together, for each picture
# of a batch.
GPU_TARGETS, GPU_STEPS, GPU_PIXELS = 0.92, 0.70, 565
# The weights of a size: of its two targets, in fp32, and of its steps, there and back, with a share
# of those of smaller batches.
GPU_TARGET_WEIGHTS, GPU_STEP_WEIGHTS = 2, 3.2
# Times the optimiser's state, in all sets of buffers and all sizes.
GPU_STATE = 3.3

# Times the optimiser's state: that of two sizes while it is resampled, and the copies for it.
OF_STATE = 2.2

# Photos of one shape share their sessions: four for each scale, and a run has four scales by
# default. More would keep the activations of shapes that may never come again. A shared engine
# keeps as many again for every batch size, see :mod:`nstbatch.runtime.engine.batching`.
KEPT_SESSIONS = 16

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
    together: int = 1,
    begun: int = 1,
    window: tuple[int, int] | None = None,
) -> int:
    """Return the estimated peak for pictures that are optimised, in bytes.

    Args:
        bundle: The network.
        steps: Layers of the objective of every session of steps: one for each size.
        cost: The cost of the objective's passes.
        optimizer: The optimiser.
        pooling: Pooling variant of the network.
        shape: Height and width of the pictures.
        together: Number of pictures that are stepped together.
        begun: Number of pictures that have a state of the optimiser, these among them.
        window: Height and width of what the network sees of larger pictures at a time.
    """
    loads = network_loads(bundle, pooling)
    weights = sorted((max(loads[layer][0] for layer in layers) for layers in steps), reverse=True)
    deepest = max(loads[layer][1] for layers in steps for layer in layers)
    state = sum(map(math.prod, optimizer.state_shapes((1, 3, *shape)).values()))
    of_pixel = cost.activations * deepest + cost.pixels
    of_pictures = together * of_pixel * math.prod(window or shape)
    if not scratch.is_in_use():
        of_pictures += begun * OF_STATE * state
    if window is not None:
        of_whole = OF_WHOLE_ON_DISK if scratch.is_in_use() else OF_WHOLE
        of_pictures += together * of_whole * math.prod(shape)
    return int(RESTING + FLOAT * (cost.weights * sum(weights[:MOST_STEPS]) + of_pictures))


def peak_on_gpu(
    bundle: Bundle,
    steps: Sequence[Collection[str]],
    cost: PassCost,
    optimizer: Optimizer,
    pooling: Pooling,
    shape: tuple[int, int],
    together: int,
    precision: str,
) -> int:
    """Return the estimated peak of a GPU's memory for pictures that are optimised, in bytes.

    Passes other than those with Gram matrices count in the ratio of their costs on a processor,
    which is a guess. Sessions for the smaller batches at the beginning and the end do not count.

    Args:
        bundle: The network.
        steps: Layers of the objective of every session of steps: one for each size.
        cost: The cost of the objective's passes on a processor.
        optimizer: The optimiser.
        pooling: Pooling variant of the network.
        shape: Height and width of the pictures.
        together: Number of pictures that are stepped together.
        precision: Precision of the steps, "fp16" or "fp32".
    """
    loads = network_loads(bundle, pooling)
    weights = sum(max(loads[layer][0] for layer in layers) for layers in steps)
    deepest = max(loads[layer][1] for layers in steps for layer in layers)
    deepest *= cost.activations / GRAM_PASS.activations
    value = FLOAT // 2 if precision == "fp16" else FLOAT
    state = sum(map(math.prod, optimizer.state_shapes((1, 3, *shape)).values()))
    of_weights = weights * (GPU_TARGET_WEIGHTS * FLOAT + GPU_STEP_WEIGHTS * value)
    of_step = (deepest * GPU_STEPS + GPU_PIXELS) * value + cost.pixels * FLOAT
    of_pixel = deepest * GPU_TARGETS * FLOAT + together * of_step
    of_pictures = of_pixel * math.prod(shape) + together * GPU_STATE * FLOAT * state
    return int(RESTING_GPU + of_weights + of_pictures)


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
    of_images = SEARCH_PASS.activations * batch * deepest * math.prod(shape)
    return int(RESTING_SEARCH + FLOAT * (SEARCH_PASS.weights * weights + of_images))
