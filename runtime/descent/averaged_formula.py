"""The formula of a mean of iterates; see :mod:`.averaged`."""

from __future__ import annotations

import onnxscript
from onnxscript import script

from nstbatch.runtime.formulas.notation import Tensor, op

DOMAIN = onnxscript.values.Opset("nstbatch.averages", 1)


@script(DOMAIN, default_opset=op)
def add_iterate(
    image: Tensor, image_out: Tensor, steps: Tensor, offset: Tensor, decay: float
) -> tuple[Tensor, Tensor]:
    """Add an iterate to the mean; return the steps (N,), and the offset from it to the mean."""
    steps_out = steps + 1.0
    # The image before the first step counts as well.
    images = op.Unsqueeze(steps_out + 1.0, [1, 2, 3])
    share = (1.0 - decay) / (1.0 - op.Pow(decay, images))
    return steps_out, (1.0 - share) * (image + offset - image_out)
