"""Adam as an update graph (Kingma & Ba 2015, Algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import cv2
import numpy as np

from nstbatch.runtime.arrays import Array, ImageShape, Shape

from .optimizer_state import Moved, State, resized, zeros

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Adam:
    """Adam, by default as style-transfer-pytorch runs it on images in [0, 1].

    Follows ``torch.optim.Adam`` without weight decay. The state is ``step`` (N,), the number of
    steps taken, and the running means ``exp_avg`` and ``exp_avg_sq`` (N, 3, H, W) of the gradient
    and of its square.
    """

    name: ClassVar[str] = "adam"
    in_place: ClassVar[tuple[str, ...]] = ()
    is_elementwise: ClassVar[bool] = True

    # style-transfer-pytorch, style_transfer.py: step_size, and the betas of its current version.
    learning_rate: float = 0.02
    betas: tuple[float, float] = (0.9, 0.99)
    epsilon: float = 1e-8  # torch.optim.Adam

    def graph(self, image_shape: ImageShape) -> onnx.ModelProto:
        """Return the update graph for pictures of this shape, (N, 3, H, W)."""
        from nstbatch.runtime.graphs.update_graph import update_model

        from .adam_formula import adam_formula

        formula = adam_formula(*self.betas, self.epsilon)
        return update_model(formula, image_shape, self.state_shapes(image_shape))

    def state_shapes(self, image_shape: ImageShape) -> dict[str, Shape]:
        """Return the shapes of the state, in the order of the graph's inputs and outputs."""
        return {"step": image_shape[:1], "exp_avg": image_shape, "exp_avg_sq": image_shape}

    def initial_state(self, image_shape: ImageShape) -> State:
        """Return the state before the first step."""
        return zeros(self.state_shapes(image_shape))

    def resample(self, state: State, size: tuple[int, int]) -> State:
        """Carry a state over to pictures of another size, (height, width).

        Follows style-transfer-pytorch's ``scale_adam``: the step count continues, the mean is
        resized bicubically, and the mean square bilinearly, clipped at zero.
        """
        return {
            "step": state["step"].copy(),
            "exp_avg": resized(state["exp_avg"], size, cv2.INTER_CUBIC),
            "exp_avg_sq": np.maximum(resized(state["exp_avg_sq"], size), 0),
        }

    def shown(self, moved: Moved) -> Array:
        """Return the current images."""
        return moved.images
