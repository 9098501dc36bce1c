"""The methods of ``nstbatch stylize``, and the options that each lacks."""

from __future__ import annotations

from typing import Literal, get_args

Method = Literal["gatys", "nnst"]
METHODS: tuple[Method, ...] = get_args(Method)
GATYS, NNST = METHODS

# The options that a method lacks, by their names in the verb's function.
OTHERS: dict[Method, tuple[str, ...]] = {
    GATYS: ("stylization",),
    NNST: (
        *("error", "style_loss", "weighting", "optimizer"),
        *("style_weight", "tv_weight", "tv_reduction", "content_layers"),
        *("content_mask", "tile_size", "memory"),
    ),
}
