"""Steps of constant length for any gradient: DeepDream's ascent, as an update graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from nstbatch.runtime.arrays import Array, ImageShape, Shape

from .optimizer_state import Moved, State

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class NormalizedGradient:
    """The gradient divided by its mean absolute value, for each picture separately.

    So the learning rate is the mean change of a value in one step. It has no state. Follows
    google/deepdream's ``make_step``.
    """

    name: ClassVar[str] = "normalized_gradient"
    in_place: ClassVar[tuple[str, ...]] = ()
    is_elementwise: ClassVar[bool] = False

    learning_rate: float = 1.5 / 255  # google/deepdream: make_step, step_size; its pixels go to 255

    def graph(self, image_shape: ImageShape) -> onnx.ModelProto:
        """Return the update graph for pictures of this shape, (N, 3, H, W)."""
        from nstbatch.runtime.graphs.update_graph import update_model

        from .normalized_gradient_formula import normalized_gradient

        return update_model(normalized_gradient, image_shape, {})

    def state_shapes(self, image_shape: ImageShape) -> dict[str, Shape]:
        """Return an empty dict: there is no state."""
        return {}

    def initial_state(self, image_shape: ImageShape) -> State:
        """Return an empty state."""
        return {}

    def resample(self, state: State, size: tuple[int, int]) -> State:
        """Return an empty state."""
        return {}

    def shown(self, moved: Moved) -> Array:
        """Return the current images."""
        return moved.images
