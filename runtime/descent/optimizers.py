"""The optimisers that move an image down its gradient, each as an ONNX update graph.

Adam takes many cheap steps and keeps two images of state; L-BFGS needs fewer steps and no tuning,
and keeps two images for every pair of its history. :mod:`.update_graph` tells what
goes into a graph and what comes out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from nstbatch.runtime.arrays import ImageShape, Shape
from nstbatch.runtime.errors import UnknownNameError

from .adam import Adam
from .lbfgs import LBFGS
from .optimizer_state import State

if TYPE_CHECKING:
    import onnx

__all__ = ["LBFGS", "OPTIMIZERS", "Adam", "Optimizer", "State", "optimizer_named"]


class Optimizer(Protocol):
    """What the loop knows of an optimiser: a frozen description that holds no state itself."""

    @property
    def name(self) -> str:
        """The word for it on the command line."""

    @property
    def learning_rate(self) -> float:
        """The size of its step, for the graph's input of that name."""

    @property
    def in_place(self) -> tuple[str, ...]:
        """The parts of its state whose input and output may be one buffer."""

    def graph(self, image_shape: ImageShape) -> onnx.ModelProto:
        """Return the update graph for pictures of this shape, (N, 3, H, W)."""

    def state_shapes(self, image_shape: ImageShape) -> dict[str, Shape]:
        """Return what it remembers between steps, in the order of the graph's inputs."""

    def initial_state(self, image_shape: ImageShape) -> State:
        """Return the state before the first step, float32."""

    def resample(self, state: State, size: tuple[int, int]) -> State:
        """Return the state to go on with at another size, (height, width)."""


OPTIMIZERS: dict[str, type[Adam] | type[LBFGS]] = {kind.name: kind for kind in (Adam, LBFGS)}


def optimizer_named(name: str, learning_rate: float | None = None) -> Optimizer:
    """Return the optimiser of this name, with its own learning rate unless one is given.

    Raises:
        UnknownNameError: There is none of this name.
    """
    if name not in OPTIMIZERS:
        raise UnknownNameError("optimizer", name, OPTIMIZERS)
    kind = OPTIMIZERS[name]
    return kind() if learning_rate is None else kind(learning_rate=learning_rate)
