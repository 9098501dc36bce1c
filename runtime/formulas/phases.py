"""The formulas of a picture stored as phases, which :mod:`.phases` defines."""

from __future__ import annotations

import onnxscript
from onnxscript import script

from .notation import Tensor, op

DOMAIN = onnxscript.values.Opset("nstbatch.phases", 1)


@script(DOMAIN, default_opset=op)
def waves(phases: Tensor, magnitudes: Tensor) -> Tensor:
    """Magnitude times e^(i phase): real parts above imaginary ones, (N, 3, 2 h, w)."""
    return op.Concat(magnitudes * op.Cos(phases), magnitudes * op.Sin(phases), axis=2)


@script(DOMAIN, default_opset=op)
def see_phases(
    phases: Tensor, magnitudes: Tensor, rows: Tensor, columns: Tensor, colours: Tensor
) -> Tensor:
    """Phases (N, 3, h, w) -> pictures (N, 3, H, W), RGB in (0, 1).

    The other inputs are (3, h, w), (2 H, 2 h), (2 w, W) and (3, 3, 1, 1), in their order.
    """
    real, imaginary = op.Split(op.MatMul(rows, waves(phases, magnitudes)), axis=2, num_outputs=2)
    planes = op.MatMul(op.Concat(real, imaginary, axis=3), columns)
    return op.Sigmoid(op.Conv(planes, colours))


@script(DOMAIN, default_opset=op)
def pull_back_phases(
    phases: Tensor,
    gradient: Tensor,
    magnitudes: Tensor,
    rows: Tensor,
    columns: Tensor,
    colours: Tensor,
) -> Tensor:
    """Multiply by every factor transposed, in reverse order; sigmoid' = sigmoid (1 - sigmoid).

    The derivative of r e^(i phi) is i r e^(i phi): a quarter turn.
    """
    seen = see_phases(phases, magnitudes, rows, columns, colours)
    slope = gradient * seen * (1.0 - seen)
    planes = op.Conv(slope, op.Transpose(colours, perm=[1, 0, 2, 3]))
    real, imaginary = op.Split(op.MatMul(planes, op.Transpose(columns)), axis=3, num_outputs=2)
    pulled = op.MatMul(op.Transpose(rows), op.Concat(real, imaginary, axis=2))
    down, across = op.Split(pulled, axis=2, num_outputs=2)
    return magnitudes * (across * op.Cos(phases) - down * op.Sin(phases))
