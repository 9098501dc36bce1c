"""Adam as an update graph (Kingma & Ba 2015, Algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnxscript import script

from .update_graph import ImageShape, Shape, State, Tensor, op, update_model, zeros


@dataclass(frozen=True)
class Adam:
    """Adam, by default as style-transfer-pytorch runs it on images in [0, 1].

    Follows ``torch.optim.Adam`` without weight decay. The state is ``step`` (N,), the number of
    steps taken, and the running means ``exp_avg`` and ``exp_avg_sq`` (N, 3, H, W) of the gradient
    and of its square.
    """

    name: ClassVar[str] = "adam"
    in_place: ClassVar[tuple[str, ...]] = ()

    # style-transfer-pytorch, style_transfer.py: step_size, and the betas of its current version.
    learning_rate: float = 0.02
    betas: tuple[float, float] = (0.9, 0.99)
    epsilon: float = 1e-8  # torch.optim.Adam

    def graph(self, image_shape: ImageShape) -> onnx.ModelProto:
        """Return the update graph for pictures of this shape, (N, 3, H, W)."""
        formula = _formula(*self.betas, self.epsilon)
        return update_model(formula, image_shape, self.state_shapes(image_shape))

    def state_shapes(self, image_shape: ImageShape) -> dict[str, Shape]:
        """Return what is remembered, in the order of the graph's inputs and outputs."""
        return {"step": image_shape[:1], "exp_avg": image_shape, "exp_avg_sq": image_shape}

    def initial_state(self, image_shape: ImageShape) -> State:
        """Return the state before the first step."""
        return zeros(self.state_shapes(image_shape))

    def resample(self, state: State, size: tuple[int, int]) -> State:
        """Carry a state over to pictures of another size, (height, width).

        After style-transfer-pytorch's ``scale_adam``: the step goes on counting, the mean is
        resized bicubically and the mean square bilinearly, never below zero.
        """
        return {
            "step": state["step"].copy(),
            "exp_avg": _resized(state["exp_avg"], size, cv2.INTER_CUBIC),
            "exp_avg_sq": np.maximum(_resized(state["exp_avg_sq"], size, cv2.INTER_LINEAR), 0),
        }


def _formula(beta1: float, beta2: float, epsilon: float) -> Any:
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


def _resized(
    moments: NDArray[np.float32], size: tuple[int, int], method: int
) -> NDArray[np.float32]:
    planes = moments.reshape(-1, *moments.shape[2:])
    resized = [cv2.resize(plane, size[::-1], interpolation=method) for plane in planes]
    return np.stack(resized).astype(np.float32).reshape(*moments.shape[:2], *size)
