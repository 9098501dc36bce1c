"""How many pictures of one size fit into a device's memory at once.

What a step holds is counted from its graph (:mod:`.live_bytes`), not measured. A provider also
wants memory to compute in, and leaves gaps; both are in :data:`OVERHEAD`. **The estimate has not
been held against a GPU yet.**
"""

from __future__ import annotations

import math

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
