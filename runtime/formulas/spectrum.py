"""The formulas of a picture stored as a spectrum, which :mod:`.spectrum` defines."""

from __future__ import annotations

import onnxscript
from onnxscript import script

from .notation import Tensor, op

DOMAIN = onnxscript.values.Opset("nstbatch.spectrum", 1)


@script(DOMAIN, default_opset=op)
def see_spectrum(
    coefficients: Tensor, rows: Tensor, columns: Tensor, scale: Tensor, colours: Tensor
) -> Tensor:
    """Coefficients (N, 3, h, w) -> pictures (N, 3, H, W), RGB in (0, 1).

    The other inputs are (H, h), (w, W), (h, w) and (3, 3, 1, 1), in their order.
    """
    planes = op.MatMul(op.MatMul(rows, coefficients * scale), columns)
    return op.Sigmoid(op.Conv(planes, colours))


@script(DOMAIN, default_opset=op)
def pull_back_spectrum(
    coefficients: Tensor,
    gradient: Tensor,
    rows: Tensor,
    columns: Tensor,
    scale: Tensor,
    colours: Tensor,
) -> Tensor:
    """Multiply by every factor transposed, in reverse order; sigmoid' = sigmoid (1 - sigmoid)."""
    seen = see_spectrum(coefficients, rows, columns, scale, colours)
    slope = gradient * seen * (1.0 - seen)
    planes = op.Conv(slope, op.Transpose(colours, perm=[1, 0, 2, 3]))
    transposed = op.MatMul(op.Transpose(rows), op.MatMul(planes, op.Transpose(columns)))
    return transposed * scale
