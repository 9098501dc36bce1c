"""The optimisers that move an image down its gradient, each as an ONNX update graph.

Adam takes many cheap steps and keeps two images of state; L-BFGS needs fewer steps and no tuning,
and keeps two images for every pair of its history. :mod:`nstbatch.runtime.graphs.update_graph`
describes the inputs and outputs of a graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from nstbatch.runtime.arrays import Array, ImageShape, Shape
from nstbatch.runtime.errors import UnknownNameError

from .adam import Adam
from .lbfgs import LBFGS
from .optimizer_state import Moved, State

if TYPE_CHECKING:
    import onnx

__all__ = ["LBFGS", "OPTIMIZERS", "Adam", "Optimizer", "State", "optimizer_named"]


class Optimizer(Protocol):
    """An optimiser as the loop sees it: a frozen description without state."""

    @property
    def name(self) -> str:
        """Its name on the command line."""

    @property
    def learning_rate(self) -> float:
        """Its step size, the graph's input of that name."""

    @property
    def in_place(self) -> tuple[str, ...]:
        """The parts of its state whose input and output may be one buffer."""

    @property
    def is_elementwise(self) -> bool:
        """True if each value of a picture moves by its own gradient and state alone."""

    def graph(self, image_shape: ImageShape) -> onnx.ModelProto:
        """Return the update graph for pictures of this shape, (N, 3, H, W)."""

    def state_shapes(self, image_shape: ImageShape) -> dict[str, Shape]:
        """Return the shapes of its state, in the order of the graph's inputs."""

    def initial_state(self, image_shape: ImageShape) -> State:
        """Return the state before the first step, float32."""

    def resample(self, state: State, size: tuple[int, int]) -> State:
        """Return the state resized to another size, (height, width)."""

    def shown(self, moved: Moved) -> Array:
        """Return the images to show and to continue with at the next size, (N, 3, H, W)."""


OPTIMIZERS: dict[str, type[Adam] | type[LBFGS]] = {kind.name: kind for kind in (Adam, LBFGS)}


def optimizer_named(name: str, learning_rate: float | None = None) -> Optimizer:
    """Return the optimiser of a name, with its default learning rate unless one is given.

    Raises:
        UnknownNameError: There is no such optimiser.
    """
    if name not in OPTIMIZERS:
        raise UnknownNameError("optimizer", name, OPTIMIZERS)
    kind = OPTIMIZERS[name]
    return kind() if learning_rate is None else kind(learning_rate=learning_rate)
