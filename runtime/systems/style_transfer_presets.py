"""Named sets of style transfer options: what to change of the defaults, for speed or for quality.

Imports nothing heavy, so the command line can show the presets without numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

Preset = Literal["fast", "default", "fine"]
PRESET_NAMES: tuple[Preset, ...] = get_args(Preset)

PRESETS: Mapping[Preset, Mapping[str, str | int]] = MappingProxyType(
    {
        # What looks best within ten seconds of steps on two cores with bf16, by eye on examples/:
        # docs/decisions/0027-presets.md. From the photo, the palette would need 200 steps.
        "fast": {"size": 384, "iterations": 80, "scales": 3, "init": "recolored"},
        "default": {},
        # 512 pixels become 1024, and the coarsest size stays what it is.
        "fine": {"size": 1024, "iterations": 500, "scales": 6},
    }
)
"""The options that each preset changes, by their names in ``StyleTransferOptions``."""
