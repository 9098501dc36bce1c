"""The formula of Adam; see :mod:`.adam`."""

from __future__ import annotations

from typing import Any

from onnxscript import script

from nstbatch.runtime.formulas.notation import Tensor, op


def adam_formula(beta1: float, beta2: float, epsilon: float) -> Any:
    """(image, gradient, learning_rate, lower, upper, *state) -> (image, *state)."""
    # In double precision here: in float32, 1 - 0.999 is off by 1e-5.
    weight1, weight2 = 1 - beta1, 1 - beta2

    @script(default_opset=op)
    def adam(
        image: Tensor,
        gradient: Tensor,
        learning_rate: Tensor,
        lower: Tensor,
        upper: Tensor,
        step: Tensor,
        exp_avg: Tensor,
        exp_avg_sq: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        step_out = step + 1.0
        exp_avg_out = beta1 * exp_avg + weight1 * gradient
        exp_avg_sq_out = beta2 * exp_avg_sq + weight2 * gradient * gradient

        # Running means that start at zero are too small at first, by a factor of 1 - beta^step.
        steps = op.Unsqueeze(step_out, [1, 2, 3])
        mean = exp_avg_out / (1.0 - op.Pow(beta1, steps))
        mean_square = exp_avg_sq_out / (1.0 - op.Pow(beta2, steps))

        moved = image - learning_rate * mean / (op.Sqrt(mean_square) + epsilon)
        return op.Clip(moved, lower, upper), step_out, exp_avg_out, exp_avg_sq_out

    return adam
