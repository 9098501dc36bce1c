"""The formula of L-BFGS, in parts; see :mod:`.lbfgs`."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnxscript import INT64, script

from nstbatch.runtime.arrays import ImageShape
from nstbatch.runtime.formulas.notation import Mask, Tensor, op

from .lbfgs_guess import alike, by_place, total


@script(default_opset=op)
def times(matrix: Tensor, vector: Tensor) -> Tensor:
    """(N, i, j), (N, j) -> (N, i)."""
    return op.Squeeze(matrix @ op.Unsqueeze(vector, [2]), [2])


@script(default_opset=op)
def transpose_times(matrix: Tensor, vector: Tensor) -> Tensor:
    """(N, i, j), (N, i) -> (N, j)."""
    return op.Squeeze(op.Unsqueeze(vector, [1]) @ matrix, [1])


@script(default_opset=op)
def inverse_with_pair(inverse: Tensor, s_y: Tensor, new_sy: Tensor, is_new: Mask) -> Tensor:
    """Replace a pair of R by the newest: inverse (N, m, m), s . new_y and slot mask (N, m).

    R loses the row and column of a pair overwritten and gains a last column; the inverse of the
    triangle [[R, v], [0, c]] is [[R^-1, -R^-1 v / c], [0, 1 / c]].
    """
    in_column = op.Unsqueeze(is_new, [1])
    older = op.Where(op.Or(in_column, op.Unsqueeze(is_new, [2])), 0.0, inverse)
    column = op.Where(is_new, 1.0, -times(older, s_y)) / op.Unsqueeze(new_sy, [1])
    return op.Where(in_column, op.Unsqueeze(column, [2]), older)


def two_loops(guessed: Any) -> Any:
    """(gradient, *history, scale) -> (N, C, H, W): the inverse Hessian times the gradient.

    The first loop takes q = g - sum a_i y_i from the newest pair to the oldest, with
    a_i = s_i . q / s_i . y_i; the second r = guessed(q) + sum (a_i - b_i) s_i from the oldest to
    the newest, with b_i = y_i . r / s_i . y_i. Both are triangular: R a = s . g, and
    R^T (a - b) = curvature a - y . guessed(q).

    Args:
        guessed: The first of the formulas of a guess, see :mod:`.lbfgs_guess`.
    """

    @script(default_opset=op)
    def loops(
        gradient: Tensor, s: Tensor, y: Tensor, r_inverse: Tensor, curvature: Tensor, scale: Tensor
    ) -> Tensor:
        shape = op.Shape(gradient)
        g = op.Flatten(gradient)
        a = times(r_inverse, times(s, g))
        r = op.Flatten(guessed(op.Reshape(g - transpose_times(y, a), shape), scale))
        a_minus_b = transpose_times(r_inverse, curvature * a - times(y, r))
        return op.Reshape(r + transpose_times(s, a_minus_b), shape)

    return loops


@script(default_opset=op)
def pushed_out(image: Tensor, gradient: Tensor, lower: Tensor, upper: Tensor) -> Mask:
    """Find the pixels at a bound that a step down the gradient would push beyond it.

    They skip the step (Bertsekas 1982): a direction that is clipped only afterwards need not lead
    downhill.
    """
    below = op.And(image <= lower, gradient > 0.0)
    above = op.And(image >= upper, gradient < 0.0)
    return op.Or(below, above)


@script(default_opset=op)
def first_length(gradient: Tensor) -> Tensor:
    """Return a step length, (N,), that moves a picture by at most 1 in total, sum |moves|.

    Before the first pair, the curvature is unknown (torch.optim.LBFGS).
    """
    return op.Min(1.0, 1.0 / total(op.Abs(gradient)))


@script(default_opset=op)
def no_longer_than(longest: Tensor, move: Tensor, values: Tensor) -> Tensor:
    """Shorten the moves, (N, C, H, W) of so many values a picture, to a root mean square."""
    length = op.Sqrt(total(move * move) / values)
    share = op.Min(1.0, longest / op.Max(length, 1e-30))
    return move * op.Unsqueeze(share, [1, 2, 3])


def row_writer(image_shape: ImageShape, history: int) -> Any:
    """(rows, row, slot, accepted) -> rows: s or y with the newest row of each picture written."""
    pictures = list(range(image_shape[0]))
    first_rows = [picture * history for picture in pictures]
    all_rows = [-1, int(np.prod(image_shape[1:]))]

    @script(default_opset=op)
    def write(rows: Tensor, row: Tensor, slot: Tensor, accepted: Mask) -> Tensor:
        """Write one row per picture to its slot; a row that is not accepted changes nothing."""
        index = op.Cast(slot, to=INT64.dtype)
        present = op.Gather(op.Reshape(rows, all_rows), first_rows + index)
        at = op.Concat(op.Unsqueeze(pictures, [1]), op.Unsqueeze(index, [1]), axis=1)
        return op.ScatterND(rows, at, op.Where(op.Unsqueeze(accepted, [1]), row, present))

    return write


def mover(guessed: Any, image_shape: ImageShape, longest_move: float) -> Any:
    """(image, gradient, learning_rate, lower, upper, step, *history, scale) -> displacement.

    Args:
        guessed: The first of the formulas of a guess, see :mod:`.lbfgs_guess`.
        image_shape: (N, 3, H, W).
        longest_move: Root mean square of a picture's displacement; longer ones are shortened.
    """
    direction = two_loops(guessed)
    values = float(np.prod(image_shape[1:]))

    @script(default_opset=op)
    def displace(
        image: Tensor,
        gradient: Tensor,
        learning_rate: Tensor,
        lower: Tensor,
        upper: Tensor,
        step: Tensor,
        s: Tensor,
        y: Tensor,
        r_inverse: Tensor,
        curvature: Tensor,
        scale: Tensor,
    ) -> Tensor:
        blocked = pushed_out(image, gradient, lower, upper)
        free = op.Where(blocked, 0.0, gradient)
        descent = direction(free, s, y, r_inverse, curvature, scale)
        length = learning_rate * op.Where(op.Equal(step, 0.0), first_length(free), 1.0)
        move = -op.Unsqueeze(length, [1, 2, 3]) * descent
        move = no_longer_than(longest_move, op.Where(blocked, 0.0, move), values)
        return op.Min(op.Max(move, lower - image), upper - image)

    return displace


def lbfgs_formula(
    image_shape: ImageShape,
    history: int,
    longest_move: float,
    neighbourhood: int | None,
    min_curvature: float,
) -> Any:
    """(image, gradient, learning_rate, lower, upper, *state) -> (image, *state)."""
    guessed, scale_of = alike() if neighbourhood is None else by_place(neighbourhood)
    write = row_writer(image_shape, history)
    displace = mover(guessed, image_shape, longest_move)
    return _update(write, displace, scale_of, history, min_curvature)


def _update(write: Any, displace: Any, scale_of: Any, history: int, min_curvature: float) -> Any:
    """The update of image and state from its parts."""
    slots = [float(slot) for slot in range(history)]
    last_slot = slots[-1]

    @script(default_opset=op)
    def lbfgs(
        image: Tensor,
        gradient: Tensor,
        learning_rate: Tensor,
        lower: Tensor,
        upper: Tensor,
        step: Tensor,
        previous_gradient: Tensor,
        displacement: Tensor,
        s: Tensor,
        y: Tensor,
        slot: Tensor,
        r_inverse: Tensor,
        curvature: Tensor,
        scale: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        # The pair that the last step made. Before the first step it is zero, so not accepted.
        change = gradient - previous_gradient
        new_s, new_y = op.Flatten(displacement), op.Flatten(change)
        new_sy = total(displacement * change)
        accepted = new_sy > min_curvature
        is_new = op.And(op.Equal(op.Unsqueeze(slot, [1]), slots), op.Unsqueeze(accepted, [1]))
        next_slot = op.Where(op.Equal(slot, last_slot), 0.0, slot + 1.0)

        # All that follows reads the history as written, so that it can be written in place.
        s_out = write(s, new_s, slot, accepted)
        y_out = write(y, new_y, slot, accepted)
        slot_out = op.Where(accepted, next_slot, slot)
        r_inverse_out = inverse_with_pair(r_inverse, times(s_out, new_y), new_sy, is_new)
        curvature_out = op.Where(is_new, op.Unsqueeze(new_sy, [1]), curvature)
        new_scale = scale_of(displacement, change, new_sy)
        scale_out = op.Where(op.Unsqueeze(accepted, [1, 2, 3]), new_scale, scale)

        # fmt: off
        displacement_out = displace(
            image, gradient, learning_rate, lower, upper, step,
            s_out, y_out, r_inverse_out, curvature_out, scale_out,
        )
        image_out = op.Clip(image + displacement_out, lower, upper)
        return (
            image_out, step + 1.0, op.Identity(gradient), displacement_out, s_out, y_out, slot_out,
            r_inverse_out, curvature_out, scale_out,
        )
        # fmt: on

    return lbfgs
