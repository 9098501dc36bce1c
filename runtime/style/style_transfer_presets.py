"""Named sets of style transfer options: what each changes of the defaults.

Imports nothing heavy, so the command line can show the presets without numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

Preset = Literal["fast", "default", "fine", "gatys"]
PRESET_NAMES: tuple[Preset, ...] = get_args(Preset)

PRESETS: Mapping[Preset, Mapping[str, str | float]] = MappingProxyType(
    {
        # What looks best within ten seconds of steps on two cores with bf16, by eye on examples/:
        # docs/decisions/0027-presets.md.
        "fast": {"size": 384, "iterations": 80, "scales": 3},
        "default": {},
        # 512 pixels become 1024, and the coarsest size stays what it is. As many steps at the last
        # size as by default, since the coarser ones have settled the forms.
        "fine": {"size": 1024, "iterations": 240, "scales": 6},
        # Gatys et al. 2016, section 2: mean squared errors, average pooling, equal style layers.
        # The weights were chosen by eye: docs/decisions/0004-relative-losses.md.
        "gatys": {
            "error": "mse",
            "content_weight": 1.0,
            "style_weight": 20.0,
            "tv_weight": 10.0,
            "pooling": "avg",
            "init": "photo",
            "iterations": 300,
        },
    }
)
"""The options that each preset changes, by their names in ``StyleTransferOptions``."""
