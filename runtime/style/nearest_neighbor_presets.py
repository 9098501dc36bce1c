"""Named sets of options of nearest-neighbour style transfer, for speed or for quality.

Imports nothing heavy, so the command line can show the presets without numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .style_transfer_presets import Preset

PRESETS: Mapping[Preset, Mapping[str, str | float]] = MappingProxyType(
    {
        # docs/decisions/0028-nearest-neighbors.md has the pictures' times.
        "fast": {"size": 384, "iterations": 100},
        "default": {},
        # NNST's --high_res: 1024 pixels, one size more, 200 steps at each.
        "fine": {"size": 1024, "iterations": 1000, "scales": 5},
    }
)
"""The options that each preset changes, by their names in ``NearestNeighborOptions``."""
