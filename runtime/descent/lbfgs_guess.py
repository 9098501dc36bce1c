"""The first guess at the inverse Hessian, which the pairs of L-BFGS's history correct.

A guess is two formulas, in this order:

======================================= ================================================
(pictures, scale) -> (N, C, H, W)       the guess times pictures, for example gradients
(displacement, change, s . y) -> scale  the scale, from the newest pair
======================================= ================================================
"""

from __future__ import annotations

from typing import Any, TypeAlias

from onnxscript import script

from nstbatch.runtime.formulas.notation import Tensor, op

Guess: TypeAlias = tuple[Any, Any]

# Weight of the whole picture in each neighbourhood, which gives a scale to one without any motion.
# A guess.
SHARE_OF_ALL = 1e-3
# s . y / y . y is the shorter of the two steps that a pair suggests (Barzilai & Borwein 1988): the
# largest curvature decides it. If neighbourhoods have their own scales, a step this much longer is
# better: docs/decisions/0020-curvature-by-place.md.
LENGTHENING = 2.0
# Factor by which large forms move further than single pixels; from the same decision.
FORMS = 8.0

# Red, green and blue.
CHANNELS = 3


@script(default_opset=op)
def total(pictures: Tensor) -> Tensor:
    """(N, C, H, W) -> (N,); rows first, which keeps a digit that one long sum would lose."""
    return op.ReduceSum(op.ReduceSum(pictures, [3], keepdims=0), [1, 2], keepdims=0)


@script(default_opset=op)
def scaled(pictures: Tensor, scale: Tensor) -> Tensor:
    """Multiply each picture by its scale."""
    return scale * pictures


@script(default_opset=op)
def scale_of_all(displacement: Tensor, change: Tensor, s_y: Tensor) -> Tensor:
    """Return s . y / y . y, (N, 1, 1, 1)."""
    return op.Unsqueeze(s_y / total(change * change), [1, 2, 3])


def alike() -> Guess:
    """Return the guess of one scale per picture, as in ``torch.optim.LBFGS``."""
    return scaled, scale_of_all


def by_place(side: int) -> Guess:
    """Return the guess of one scale per pixel, (N, 1, H, W), by the curvature around it.

    |s| / |y| around a pixel stands for the inverse of the curvature. Only its ratio to other places
    counts: s . y gives a better estimate of the length of the whole step.

    Large forms have the least curvature and move first: with D the scales and B a mean over a
    square, the guess is D^1/2 (1 + FORMS B B) D^1/2, which is symmetric and positive as an inverse
    Hessian must be.

    Args:
        side: Side of the squares around pixels, in pixels, odd.
    """
    row, column = [CHANNELS, 1, 1, side], [CHANNELS, 1, side, 1]
    beside, above = [0, side // 2, 0, side // 2], [side // 2, 0, side // 2, 0]
    each, of_each = CHANNELS, 1 / side
    share, lengthening, forms = SHARE_OF_ALL, LENGTHENING, FORMS

    @script(default_opset=op)
    def smooth(pictures: Tensor) -> Tensor:
        # Zeros beyond the border keep it symmetric. AveragePool does the same in twelve times the
        # time, and ONNX Runtime 1.24 computes it wrongly along the border.
        rows = op.Conv(pictures, op.Expand(of_each, row), pads=beside, group=each)
        return op.Conv(rows, op.Expand(of_each, column), pads=above, group=each)

    @script(default_opset=op)
    def mean_square_around(pictures: Tensor) -> Tensor:
        squares = pictures * pictures
        around = op.ReduceMean(smooth(squares), [1])
        return around + share * op.ReduceMean(squares, [1, 2, 3])

    @script(default_opset=op)
    def forms_first(pictures: Tensor, scale: Tensor) -> Tensor:
        root = op.Sqrt(scale)
        evened = root * pictures
        return root * (evened + forms * smooth(smooth(evened)))

    @script(default_opset=op)
    def scale_of_places(displacement: Tensor, change: Tensor, s_y: Tensor) -> Tensor:
        # A pixel that stayed at its bound carries no information about the curvature.
        of_moved = op.Where(op.Equal(displacement, 0.0), 0.0, change)
        relative = op.Sqrt(mean_square_around(displacement) / mean_square_around(of_moved))
        length = lengthening * s_y / total(change * forms_first(change, relative))
        return op.Unsqueeze(length, [1, 2, 3]) * relative

    return forms_first, scale_of_places
