"""The formula of steps of one length; :mod:`.normalized_gradient` tells of it."""

from __future__ import annotations

import numpy as np
from onnxscript import script

from nstbatch.runtime.objectives.notation import Tensor, op

# So that a gradient of nothing but zeros is no step, and no division by zero.
TINY = float(np.finfo(np.float32).tiny)


@script(default_opset=op)
def normalized_gradient(
    image: Tensor, gradient: Tensor, learning_rate: Tensor, lower: Tensor, upper: Tensor
) -> Tensor:
    """(image, gradient, learning_rate, lower, upper) -> image."""
    size = op.ReduceMean(op.Abs(gradient), [1, 2, 3], keepdims=1)
    step = learning_rate / op.Max(size, TINY)
    return op.Clip(image - step * gradient, lower, upper)
