"""The number of pictures of one size that a device steps together by default.

The bytes of a step are counted from its graph (:mod:`nstbatch.runtime.graphs.live_bytes`), not
measured. A provider also needs memory to compute in, and leaves gaps; both are in
:data:`OVERHEAD`. **The estimate has not been compared with a GPU yet**, only with what ONNX Runtime
allocates for one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nstbatch.runtime.descent.optimizers import LBFGS, Optimizer
from nstbatch.runtime.devices.gpu_memory import gpu_memory
from nstbatch.runtime.names import IMAGE

if TYPE_CHECKING:
    from nstbatch.runtime.bundles.bundle import Bundle
    from nstbatch.runtime.checks import Pooling
    from nstbatch.runtime.devices.providers import Provider
    from nstbatch.runtime.objectives.terms import Term

# A guess: batches of this many keep a large GPU busy at 256 pixels.
MOST_TOGETHER = 8
# Times the bytes that are counted. ONNX Runtime's arena took 2.7 times as much, in fp16 with Adam,
# for SqueezeNet at 256 pixels and for VGG16 at 512, on libraries that compute nothing
# (docs/gpu.md). What cuDNN's workspaces add is a guess.
OVERHEAD = 3.0


def best_batch(
    bundle: Bundle,
    provider: Provider,
    terms: tuple[Term, ...],
    optimizer: Optimizer,
    pooling: Pooling,
    size: tuple[int, int],
) -> int:
    """Return the default batch size.

    It is 1 on a processor, which gains nothing from batches. On a GPU it is as many as fit into the
    free memory, up to :data:`MOST_TOGETHER`; but 1 with L-BFGS, whose pictures come out visibly
    different because another batch size rounds differently.

    Args:
        bundle: The network.
        provider: The device.
        terms: Terms of the objective.
        optimizer: The optimiser.
        pooling: Pooling variant of the network.
        size: Height and width of the largest picture.
    """
    if provider.memory != "cuda" or optimizer.name == LBFGS.name:
        return 1
    free = gpu_memory("free", provider.gpu)
    if free is None:
        return 1
    return largest_batch(bytes_of_step(bundle, terms, pooling, size), free, MOST_TOGETHER)


def largest_batch(bytes_of_one: int, free_bytes: int, most: int) -> int:
    """Return the largest batch size that fits into memory, from 1 to ``most``.

    Args:
        bytes_of_one: Bytes of one picture, from :func:`bytes_of`.
        free_bytes: Free bytes of the device, with the weights already loaded.
        most: Largest batch size that still gains speed.
    """
    return max(1, min(most, math.floor(free_bytes / (OVERHEAD * max(bytes_of_one, 1)))))


def bytes_of_step(
    bundle: Bundle, terms: tuple[Term, ...], pooling: Pooling, size: tuple[int, int]
) -> int:
    """Count the bytes that one picture takes in a step in float32.

    Args:
        bundle: The network.
        terms: Terms of the objective; their targets are those of reference pictures.
        pooling: Pooling variant of the network.
        size: Height and width of the picture.
    """
    from nstbatch.runtime.graphs.link import link_targets
    from nstbatch.runtime.graphs.live_bytes import bytes_of
    from nstbatch.runtime.graphs.measured_step_graph import step_graph
    from nstbatch.runtime.graphs.specialise import specialise

    shape = (1, 3, *size)
    with_target = tuple(term for term in terms if term.target is not None)
    forward = bundle.read_graph("forward", pooling)
    targets = specialise(link_targets(forward, with_target), {IMAGE: shape})
    target_shapes = {
        value.name: tuple(each.dim_value for each in value.type.tensor_type.shape.dim)
        for value in targets.graph.output
    }
    return bytes_of(step_graph(bundle.read_graph("gradient", pooling), terms, shape, target_shapes))
