"""The search for nearest neighbours on a device: tiles of products, and the largest of each row."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from nstbatch.runtime.arrays import Array, Shapes
from nstbatch.runtime.bundles.bundle import Bundle

from .session import Session

QUERIES, CANDIDATES = "queries", "candidates"

# NNST leaves out the last block of VGG16, whose stride is 16: "increases speed without harming
# quality".
COARSEST_STRIDE = 8

# Products of a tile, 64 MiB. A guess: a tile fills a device, and leaves its memory alone.
TILE = 2**24


def layers_of_columns(bundle: Bundle, names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the layers whose columns are compared, each once.

    Args:
        bundle: The network.
        names: Those asked for; None for the style layers, without those of a stride above
            :data:`COARSEST_STRIDE` if that leaves any.

    Raises:
        UnknownNameError: The bundle lacks a layer; lists those it has.
    """
    if names is not None:
        return tuple(dict.fromkeys(bundle.layer(name).name for name in names))
    strides = {name: bundle.layer(name).stride or 1 for name in bundle.style_layers}
    fine = tuple(name for name, stride in strides.items() if stride <= COARSEST_STRIDE)
    return fine or tuple(strides)


def nearest(
    queries: Array, candidates: Array, open_search: Callable[[Shapes], Session]
) -> NDArray[np.intp]:
    """Find for each column of ``queries`` (D, Q) the most similar of ``candidates`` (D, P), (Q,).

    The similarity is the cosine of columns minus their mean (Kolkin et al. 2022, "centred cosine
    distance"). The length of a query does not matter to its maximum, so only candidates are scaled.

    Args:
        queries: Columns.
        candidates: Columns.
        open_search: Opens the session of the search, for these shapes of its inputs.
    """
    units = candidates - candidates.mean(axis=1, keepdims=True)
    units /= np.maximum(np.linalg.norm(units, axis=0), np.finfo(np.float32).tiny)
    centred = np.ascontiguousarray((queries - queries.mean(axis=1, keepdims=True)).T)
    count, depth = centred.shape
    rows = min(count, max(1, TILE // units.shape[1]))
    session = open_search({QUERIES: (rows, depth), CANDIDATES: units.shape})
    tile, found = session.buffer(centred[:rows]), session.buffer(np.zeros(rows))
    (output,) = session.output_shapes
    step = session.bind({QUERIES: tile, CANDIDATES: session.buffer(units)}, {output: found})
    best = np.empty(count, np.intp)
    for start in range(0, count, rows):
        # The last tile overlaps the one before, so that all have one shape.
        first = min(start, count - rows)
        tile.update_inplace(centred[first : first + rows])
        step()
        best[first : first + rows] = found.numpy()
    return best
