"""How many pictures of one size fit into a device's memory at once.

What a step holds is counted from its graph (:mod:`.live_bytes`), not measured. A provider also
wants memory to compute in, and leaves gaps; both are in :data:`OVERHEAD`. **The estimate has not
been held against a GPU yet.**
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nstbatch.runtime.names import IMAGE

if TYPE_CHECKING:
    from nstbatch.runtime.bundles.bundle import Bundle
    from nstbatch.runtime.checks import Pooling
    from nstbatch.runtime.objectives.terms import Term

# Of what is counted: cuDNN's workspaces and the arena's gaps. A guess.
OVERHEAD = 1.5


def largest_batch(bytes_of_one: int, free_bytes: int, most: int) -> int:
    """How many pictures a batch may have: at least 1, at most ``most``.

    Args:
        bytes_of_one: What one picture takes, of :func:`.live_bytes.bytes_of`.
        free_bytes: What the device has left, weights already there.
        most: Where a larger batch gains nothing more.
    """
    return max(1, min(most, math.floor(free_bytes / (OVERHEAD * max(bytes_of_one, 1)))))


def bytes_of_step(
    bundle: Bundle, terms: tuple[Term, ...], pooling: Pooling, size: tuple[int, int]
) -> int:
    """What one picture takes in a step, counted in float32.

    Args:
        bundle: The network.
        terms: Of the objective; their targets are those of reference pictures.
        pooling: Which variant of the network.
        size: Height and width of the picture.
    """
    from nstbatch.runtime.graphs.link import link_targets
    from nstbatch.runtime.graphs.live_bytes import bytes_of
    from nstbatch.runtime.graphs.specialise import specialise
    from nstbatch.runtime.graphs.step_graph import step_graph

    shape = (1, 3, *size)
    with_target = tuple(term for term in terms if term.target is not None)
    forward = bundle.read_graph("forward", pooling)
    targets = specialise(link_targets(forward, with_target), {IMAGE: shape})
    target_shapes = {
        value.name: tuple(each.dim_value for each in value.type.tensor_type.shape.dim)
        for value in targets.graph.output
    }
    return bytes_of(step_graph(bundle.read_graph("gradient", pooling), terms, shape, target_shapes))
