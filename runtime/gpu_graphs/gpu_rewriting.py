"""The rewritings of a step graph for NVIDIA's GPUs."""

from __future__ import annotations

import onnx

from nstbatch.runtime.graphs.broadcast_products import with_single_products
from nstbatch.runtime.graphs.gram_products import with_positions_first
from nstbatch.runtime.graphs.relu_steps import with_conditions

from .exact_colours import with_exact_colours
from .half_style_products import with_half_style_products
from .max_pool_tiles import with_compared_tiles
from .repeated_maps import with_expanded_maps
from .style_products import with_style_products


def rewritten_for_gpu(model: onnx.ModelProto, precision: str) -> onnx.ModelProto:
    """Rewrite what CUDA's provider would compute wrongly, slowly or not at all.

    Args:
        model: A graph of static shapes; it is not changed.
        precision: "fp32" or "fp16". In half precision convolutions have the channels last, and what
            stays in float32 is multiplied in TF32.

    Returns:
        A graph with the same inputs and outputs, whose results differ by rounding.
    """
    model = with_single_products(model)
    if precision == "fp16":
        model = with_half_style_products(with_exact_colours(model))
        model = with_compared_tiles(with_conditions(model))
        model = with_positions_first(with_expanded_maps(model))
    return with_style_products(model, channels_last=precision == "fp16")
