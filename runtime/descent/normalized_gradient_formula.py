"""The formula of steps of constant length; see :mod:`.normalized_gradient`."""

from __future__ import annotations

import numpy as np
from onnxscript import script

from nstbatch.runtime.formulas.notation import Tensor, op

# Avoids a division by zero: a gradient of zeros gives no step.
TINY = float(np.finfo(np.float32).tiny)


@script(default_opset=op)
def normalized_gradient(
    image: Tensor, gradient: Tensor, learning_rate: Tensor, lower: Tensor, upper: Tensor
) -> Tensor:
    """(image, gradient, learning_rate, lower, upper) -> image."""
    size = op.ReduceMean(op.Abs(gradient), [1, 2, 3], keepdims=1)
    step = learning_rate / op.Max(size, TINY)
    return op.Clip(image - step * gradient, lower, upper)
