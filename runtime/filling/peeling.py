"""The first filling of a hole at the coarsest size: layer by layer, from its border inwards.

Every patch of the picture is compared with the part of a query that is already known (Criminisi,
Perez & Toyama 2004, "Region Filling and Object Removal by Exemplar-Based Image Inpainting").
"""

from __future__ import annotations

import numpy as np

from nstbatch.runtime.arrays import Array

from .patches import WINDOW, Corners, Ground

# Patches with so large a share of known pixels are filled in one layer; a guess.
ENOUGH = 0.5

# Patches to choose from at most; more are thinned out. A guess: their pixels take 30 MB.
MOST = 16_384


def peeled(pixels: Array, ground: Ground) -> Array:
    """Fill the hole of a picture (H, W, C); pixels of the hole do not count."""
    known = ground
    candidates = np.argwhere(ground.whole)
    candidates = candidates[:: -(-len(candidates) // MOST)]
    choices = ground.cut(pixels, candidates).reshape(len(candidates), -1)
    while known.hole.any():
        layer, shares = _next_layer(known, ground.queries)
        weights = np.repeat(shares, pixels.shape[2], axis=3).reshape(len(layer), -1)
        wanted = ground.cut(pixels, layer).reshape(len(layer), -1)
        differences = weights @ (choices**2).T - 2 * (weights * wanted) @ choices.T
        sources = candidates[differences.argmin(axis=1)]
        pixels = known.copied(pixels, layer, sources, np.ones(len(layer), np.float32))
        known = Ground(known.hole & ~ground.covered(layer), ground.tiles)
    return pixels


def _next_layer(known: Ground, queries: Corners) -> tuple[Corners, Array]:
    """Return the patches with the most known pixels, and the weights of these pixels."""
    is_known = known.cut((~known.hole).astype(np.float32)[..., None], queries)
    weights = is_known * WINDOW[..., None]
    shares = weights.sum(axis=(1, 2, 3)) / WINDOW.sum()
    unfinished = ~is_known.all(axis=(1, 2, 3))
    # The last factor lets a hole with no good patch be filled all the same.
    chosen = unfinished & (shares >= min(ENOUGH, 0.95 * shares[unfinished].max()))
    return queries[chosen], weights[chosen]
