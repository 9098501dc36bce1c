"""How projections are drawn: signed values around mid grey."""

from __future__ import annotations

import numpy as np

from nstbatch.runtime.arrays import Array

GREY = 0.5

# Percent of a projection's values that are drawn within the range from black to white. A few values
# are many times larger than the rest, and at their scale deep layers would hardly show on the grey.
# Chosen by eye.
WITHIN_RANGE = 99.5


def drawn(projected: Array) -> Array:
    """Draw a signed projection (h, w, 3) around mid grey, as Zeiler & Fergus show them."""
    scale = np.percentile(np.abs(projected), WITHIN_RANGE) or np.abs(projected).max() or 1
    return np.clip(GREY + projected / (2 * scale), 0, 1).astype(np.float32)
