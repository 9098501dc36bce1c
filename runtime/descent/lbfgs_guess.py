"""The first guess at the inverse Hessian, which the pairs of L-BFGS's history correct.

A guess is two formulas, in this order:

======================================= ================================================
(pictures, scale) -> (N, C, H, W)       what it makes of pictures, gradients for example
(displacement, change, s . y) -> scale  what the newest pair tells of it
======================================= ================================================
"""

from __future__ import annotations

from typing import Any, TypeAlias

from onnxscript import script

from nstbatch.runtime.objectives.notation import Tensor, op

Guess: TypeAlias = tuple[Any, Any]

# How much of the whole picture counts in each neighbourhood, so that one in which nothing moved
# has a scale too. A guess.
SHARE_OF_ALL = 1e-3
# s . y / y . y is the shorter of the two steps that a pair suggests (Barzilai & Borwein 1988): what
# is most curved decides it. Where neighbourhoods have scales of their own, one this much longer is
# better: docs/decisions/0020-curvature-by-place.md.
LENGTHENING = 2.0
# How much further than single pixels large forms are moved; likewise.
FORMS = 8.0

# Red, green and blue.
CHANNELS = 3


@script(default_opset=op)
def total(pictures: Tensor) -> Tensor:
    """(N, C, H, W) -> (N,); by rows first, which keeps a digit that one long sum would lose."""
    return op.ReduceSum(op.ReduceSum(pictures, [3], keepdims=0), [1, 2], keepdims=0)


@script(default_opset=op)
def scaled(pictures: Tensor, scale: Tensor) -> Tensor:
    """Multiply each picture by its number."""
    return scale * pictures


@script(default_opset=op)
def scale_of_all(displacement: Tensor, change: Tensor, s_y: Tensor) -> Tensor:
    """Return s . y / y . y, (N, 1, 1, 1)."""
    return op.Unsqueeze(s_y / total(change * change), [1, 2, 3])


def alike() -> Guess:
    """One number for all of a picture, as ``torch.optim.LBFGS`` has it."""
    return scaled, scale_of_all


def by_place(side: int) -> Guess:
    """A scale for every pixel, (N, 1, H, W), by the curvature around it; and large forms first.

    Around it |s| / |y| stands for the inverse of the curvature. Only what it is beside that of
    other places counts: how long a step is on the whole, s . y tells better.

    Large forms are the least curved: with D the scales and B a mean over a square, the guess is
    D^1/2 (1 + FORMS B B) D^1/2, which is symmetric and positive as an inverse Hessian has to be.

    Args:
        side: Of the squares around pixels, odd.
    """
    row, column = [CHANNELS, 1, 1, side], [CHANNELS, 1, side, 1]
    beside, above = [0, side // 2, 0, side // 2], [side // 2, 0, side // 2, 0]
    each, of_each = CHANNELS, 1 / side
    share, lengthening, forms = SHARE_OF_ALL, LENGTHENING, FORMS

    @script(default_opset=op)
    def smooth(pictures: Tensor) -> Tensor:
        # Beyond the border there is nothing, or it would not be symmetric. AveragePool does the
        # same in twelve times the time, and in ONNX Runtime 1.24 wrongly along the border.
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
        # A pixel that was held at its bound tells nothing of the curvature.
        of_moved = op.Where(op.Equal(displacement, 0.0), 0.0, change)
        relative = op.Sqrt(mean_square_around(displacement) / mean_square_around(of_moved))
        length = lengthening * s_y / total(change * forms_first(change, relative))
        return op.Unsqueeze(length, [1, 2, 3]) * relative

    return forms_first, scale_of_places
