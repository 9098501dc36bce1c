"""The height and width of the layers of a network, for a picture of one size."""

from __future__ import annotations

import onnx

from nstbatch.runtime.names import IMAGE

from .specialise import specialise


def layer_sides(forward: onnx.ModelProto, size: tuple[int, int]) -> dict[str, tuple[int, int]]:
    """Return the height and width of each layer that has positions, by its name.

    Args:
        forward: The forward graph.
        size: Height and width of the picture, in pixels.
    """
    shaped = onnx.shape_inference.infer_shapes(specialise(forward, {IMAGE: (1, 3, *size)}))
    names = (value.name for value in forward.graph.output)  # folding may have renamed them
    shapes = (
        tuple(each.dim_value for each in value.type.tensor_type.shape.dim)
        for value in shaped.graph.output
    )
    found = zip(names, shapes, strict=True)
    return {name: (shape[2], shape[3]) for name, shape in found if len(shape) == 4}
