"""The formulas of a picture stored as a Laplacian pyramid, which :mod:`.laplacian` defines."""

from __future__ import annotations

import onnxscript
from onnxscript import script

from .notation import Tensor, op
from .resizing import resized, resized_back

DOMAIN = onnxscript.values.Opset("nstbatch.laplacian", 1)


@script(DOMAIN, default_opset=op)
def enlarged_with_detail(
    packed: Tensor, height: int, width: int, finer_height: int, finer_width: int
) -> tuple[Tensor, Tensor]:
    """The first picture in ``packed``, enlarged, with the detail after it; and what follows."""
    pixels, finer = op.Reshape(height * width, [1]), op.Reshape(finer_height * finer_width, [1])
    high, wide = op.Reshape(height, [1]), op.Reshape(width, [1])
    finer_high, finer_wide = op.Reshape(finer_height, [1]), op.Reshape(finer_width, [1])
    flat = op.Slice(packed, [0], pixels, [3])
    coarse = op.Reshape(flat, op.Concat([0, 0], high, wide, axis=0))
    detail = op.Slice(packed, pixels, pixels + finer, [3])
    detail = op.Reshape(detail, op.Concat([0, 0], finer_high, finer_wide, axis=0))
    rest = op.Slice(packed, pixels + finer, [9223372036854775807], [3])
    return resized(coarse, finer_high, finer_wide) + detail, rest


@script(DOMAIN, default_opset=op)
def see_octave(
    packed: Tensor, height: int, width: int, finer_height: int, finer_width: int
) -> Tensor:
    """Pictures (h w), details (H W), rest -> pictures (H W), rest; all flat: (N, 3, 1, ...)."""
    picture, rest = enlarged_with_detail(packed, height, width, finer_height, finer_width)
    return op.Concat(op.Reshape(picture, [0, 0, 1, -1]), rest, axis=3)


@script(DOMAIN, default_opset=op)
def see_last_octave(
    packed: Tensor, height: int, width: int, finer_height: int, finer_width: int
) -> Tensor:
    """Pictures (h w) and details (H W), flat -> pictures (N, 3, H, W)."""
    picture, _ = enlarged_with_detail(packed, height, width, finer_height, finer_width)
    return picture


@script(DOMAIN, default_opset=op)
def pull_back_octave(
    packed: Tensor, gradient: Tensor, height: int, width: int, finer_height: int, finer_width: int
) -> Tensor:
    """The gradient in details and rest, and before it that in the coarse picture, shrunk."""
    finer = op.Reshape(finer_height * finer_width, [1])
    high, wide = op.Reshape(height, [1]), op.Reshape(width, [1])
    finer_high, finer_wide = op.Reshape(finer_height, [1]), op.Reshape(finer_width, [1])
    of_picture = op.Slice(gradient, [0], finer, [3])
    of_picture = op.Reshape(of_picture, op.Concat([0, 0], finer_high, finer_wide, axis=0))
    coarse = op.Reshape(resized_back(of_picture, high, wide), [0, 0, 1, -1])
    return op.Concat(coarse, gradient, axis=3)


@script(DOMAIN, default_opset=op)
def pull_back_last_octave(
    packed: Tensor, gradient: Tensor, height: int, width: int, finer_height: int, finer_width: int
) -> Tensor:
    """The gradient in the details, and before it that in the coarse picture; flat."""
    high, wide = op.Reshape(height, [1]), op.Reshape(width, [1])
    coarse = op.Reshape(resized_back(gradient, high, wide), [0, 0, 1, -1])
    return op.Concat(coarse, op.Reshape(gradient, [0, 0, 1, -1]), axis=3)
