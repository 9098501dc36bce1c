"""An optimiser whose pictures are means of its iterates, as style-transfer-pytorch shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nstbatch.runtime.arrays import Array, ImageShape, Shape
from nstbatch.runtime.formulas.formula import Formula

from .optimizer_state import Moved, State, zeros

if TYPE_CHECKING:
    import onnx

    from .optimizers import Optimizer

_FORMULA = Formula("nstbatch.runtime.descent.averaged_formula", "add_iterate")
_STEPS, _OFFSET = "average_steps", "average_offset"


@dataclass(frozen=True)
class Averaged:
    """Another optimiser, and an exponential mean of its iterates.

    The iterates are moved as without a mean. The pictures that are shown, that a size ends with and
    that the next one begins with are the mean, which then begins anew. It counts an iterate
    ``decay`` times as much as the one after it, and its weights add up to 1 from the first one on,
    like Adam's means after their correction (style-transfer-pytorch, ``EMA``).

    Beside the other's state there are ``average_steps`` (N,), the steps at this size, and
    ``average_offset`` (N, 3, H, W), from the image to the mean. It is 0 at first: the mean of one
    image is the image.
    """

    optimizer: Optimizer
    decay: float
    """From 0, for the last iterate alone, to below 1."""

    @property
    def name(self) -> str:
        """The name of the other optimiser."""
        return self.optimizer.name

    @property
    def learning_rate(self) -> float:
        """The step size of the other optimiser."""
        return self.optimizer.learning_rate

    @property
    def in_place(self) -> tuple[str, ...]:
        """The parts of the other optimiser's state that are updated in place."""
        return self.optimizer.in_place

    @property
    def is_elementwise(self) -> bool:
        """True if each value moves by its own gradient and state alone; its mean does."""
        return self.optimizer.is_elementwise

    def graph(self, image_shape: ImageShape) -> onnx.ModelProto:
        """Return the update graph for pictures of this shape, (N, 3, H, W)."""
        from nstbatch.runtime.graphs.update_graph import extended

        update = self.optimizer.graph(image_shape)
        return extended(update, _FORMULA, _shapes(image_shape), decay=self.decay)

    def state_shapes(self, image_shape: ImageShape) -> dict[str, Shape]:
        """Return the shapes of the state, in the order of the graph's inputs and outputs."""
        return self.optimizer.state_shapes(image_shape) | _shapes(image_shape)

    def initial_state(self, image_shape: ImageShape) -> State:
        """Return the state before the first step."""
        return self.optimizer.initial_state(image_shape) | zeros(_shapes(image_shape))

    def resample(self, state: State, size: tuple[int, int]) -> State:
        """Carry the other's state over to another size, and begin a new mean."""
        pictures, channels = state[_OFFSET].shape[:2]
        others = {name: values for name, values in state.items() if name not in (_STEPS, _OFFSET)}
        carried = self.optimizer.resample(others, size)
        return carried | zeros(_shapes((pictures, channels, *size)))

    def shown(self, moved: Moved) -> Array:
        """Return the means, (N, 3, H, W)."""
        return np.asarray(moved.images + moved.state[_OFFSET], dtype=np.float32)


def averaged(optimizer: Optimizer, decay: float) -> Optimizer:
    """Return an optimiser with a mean of its iterates; without a decay, itself."""
    return Averaged(optimizer, decay) if decay > 0 else optimizer


def _shapes(image_shape: ImageShape) -> dict[str, Shape]:
    return {_STEPS: image_shape[:1], _OFFSET: image_shape}
