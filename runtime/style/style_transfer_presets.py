"""Named sets of style transfer options: what each changes of the defaults.

Imports nothing heavy, so the command line can show the presets without numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

Preset = Literal["fast", "default", "fine", "gatys", "gatys2016", "johnson", "crowson"]
PRESET_NAMES: tuple[Preset, ...] = get_args(Preset)

# A network that takes levels up to 255, less their mean, has activations so many times as large as
# one that takes them divided by the deviation, 0.226 of torchvision's three colours on average.
OF_LEVELS = 255 * 0.226

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
        # The authors' own PyTorch notebook, NeuralStyleTransfer.ipynb: content 1, and style
        # 1e3 / C^2 on Gram matrices of C channels that are divided by H W, which is 1e3 on ours,
        # for each of five layers; L-BFGS for 500 steps, from the photo at one size, maxima. Its
        # network takes levels up to 255: docs/decisions/0035-presets-of-other-programs.md.
        "gatys2016": {
            "weighting": "plain",
            "error": "mse",
            "content_weight": 1.0,
            "style_weight": 5 * 1e3 * OF_LEVELS**2,
            "tv_weight": 0.0,
            "optimizer": "lbfgs",
            "init": "photo",
            "iterations": 500,
            "scales": 1,
            "pooling": "max",
        },
        # neural-style, neural_style.lua, its defaults: content 5, style 100 for each of five
        # layers, total variation 1e-3, 1000 steps of L-BFGS from noise at one size, maxima. Its
        # network takes levels up to 255: docs/decisions/0035-presets-of-other-programs.md.
        "johnson": {
            "weighting": "plain",
            "error": "mse",
            "content_weight": 5.0,
            "style_weight": 5 * 100 * OF_LEVELS**2,
            "tv_weight": 1e-3 / 2 * 255**2 / OF_LEVELS**2,
            "tv_reduction": "sum",
            "optimizer": "lbfgs",
            "init": "noise",
            "iterations": 1000,
            "scales": 1,
            "pooling": "max",
        },
        # style-transfer-pytorch, style_transfer.py: content 0.015, total variation 2, style layers
        # 256:64:16:4:1, Adam of 0.02 from the photo, 1000 steps at 128 pixels and 500 at each of
        # four sizes up to 512, maxima, a mean of iterates with a decay of 0.99,
        # and a first convolution that sees copies of the edge.
        "crowson": {
            "weighting": "plain",
            "error": "scaled-mse",
            "content_weight": 0.015,
            "style_weight": 1.0,
            "tv_weight": 2.0,
            "optimizer": "adam",
            "learning_rate": 0.02,
            "average_decay": 0.99,
            "init": "photo",
            "iterations": 1000 + 4 * 500,
            "scales": 5,
            "pooling": "max",
            "padding": "replicate",
        },
    }
)
"""The options that each preset changes, by their names in ``StyleTransferOptions``."""
