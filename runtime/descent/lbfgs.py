"""L-BFGS without a line search as an update graph (Nocedal 1980; Liu & Nocedal 1989).

The two-loop recursion has its compact form (Byrd, Nocedal & Schnabel 1994): the same sums, with
each loop written as one triangular solve for any length of the history.
docs/decisions/0003-lbfgs-update-graph.md compares it with other forms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from nstbatch.runtime.arrays import Array, ImageShape, Shape
from nstbatch.runtime.errors import UsageError

from .optimizer_state import Moved, State, resized, zeros

if TYPE_CHECKING:
    import onnx


# torch.optim.LBFGS: a pair with less curvature, s . y, than this is skipped.
MIN_CURVATURE = 1e-10
# Longer than any move, and within float32.
UNBOUNDED = 1e30


@dataclass(frozen=True)
class LBFGS:
    """L-BFGS as ``torch.optim.LBFGS(line_search_fn=None)`` runs it, without its stopping rules.

    The state, with D = 3 H W pixel values and m = ``history`` pairs:

    ================= ============= ==============================================================
    step              (N,)          the number of steps taken
    previous_gradient (N, 3, H, W)  the gradient at the last step
    displacement      (N, 3, H, W)  the change of the image in the last step
    s, y              (N, m, D)     displacements and the changes of gradient they caused
    slot              (N,)          the row of s and y for the next pair
    r_inverse         (N, m, m)     inverse of R: R[i, j] = s_i . y_j unless i is newer than j
    curvature         (N, m)        s_i . y_i, the diagonal of R
    scale             (N, 1, 1, 1)  the first guess at the inverse Hessian: s . y / y . y of the
                                    newest pair, 1 before there is one; with a ``neighbourhood``
                                    (N, 1, H, W), see :func:`.lbfgs_guess.by_place`
    ================= ============= ==============================================================

    Rows of s and y are filled in turn and overwritten when all are in use; no row is ever shifted,
    and unused rows have no weight. A session may bind ``state/s`` and ``state_out/s``
    to one buffer, and ``y`` likewise: then a step writes one row instead of copying the history,
    which is most of the memory.
    """

    name: ClassVar[str] = "lbfgs"
    in_place: ClassVar[tuple[str, ...]] = ("s", "y")
    is_elementwise: ClassVar[bool] = False

    # Gatys' notebook and torch.optim.LBFGS.
    learning_rate: float = 1.0
    # DeepTextures' maxcor; torch.optim.LBFGS and neural-style (through torch7) keep 100.
    history: int = 20
    # Root mean square over a picture's values; longer moves are shortened. torch has no such bound.
    longest_move: float = UNBOUNDED
    # Side, in pixels, of the square whose s and y give a pixel's curvature; None uses the whole
    # picture, as torch does.
    neighbourhood: int | None = None

    def __post_init__(self) -> None:
        if self.history < 1:
            raise UsageError(f"L-BFGS needs a history of at least 1 pair, not {self.history}.")
        if not self.longest_move > 0:
            raise UsageError(f"The longest move must be above 0, not {self.longest_move}.")
        side = self.neighbourhood
        if side is not None and (side < 1 or side % 2 == 0):
            raise UsageError(f"The side of a neighbourhood must be odd and above 0, not {side}.")

    def graph(self, image_shape: ImageShape) -> onnx.ModelProto:
        """Return the update graph for pictures of this shape, (N, 3, H, W)."""
        from nstbatch.runtime.graphs.update_graph import update_model

        from .lbfgs_formula import lbfgs_formula

        formula = lbfgs_formula(
            image_shape, self.history, self.longest_move, self.neighbourhood, MIN_CURVATURE
        )
        return update_model(formula, image_shape, self.state_shapes(image_shape))

    def state_shapes(self, image_shape: ImageShape) -> dict[str, Shape]:
        """Return the shapes of the state, in the order of the graph's inputs and outputs."""
        pictures, *picture_shape = image_shape
        pairs = (pictures, self.history, int(np.prod(picture_shape)))
        places = (1, 1) if self.neighbourhood is None else tuple(picture_shape[1:])
        return {
            "step": (pictures,),
            "previous_gradient": image_shape,
            "displacement": image_shape,
            "s": pairs,
            "y": pairs,
            "slot": (pictures,),
            "r_inverse": (pictures, self.history, self.history),
            "curvature": (pictures, self.history),
            "scale": (pictures, 1, *places),
        }

    def initial_state(self, image_shape: ImageShape) -> State:
        """Return the state before the first step."""
        state = zeros(self.state_shapes(image_shape))
        state["scale"] += 1
        return state

    def resample(self, state: State, size: tuple[int, int]) -> State:
        """Carry a state over to pictures of another size, (height, width).

        A move of an area is the same move at any size, and its change of the gradient is divided
        among the pixels of that area. docs/decisions/0021-pairs-from-size-to-size.md has the
        measurements.
        """
        pictures, channels, *before = state["displacement"].shape
        carried = self.initial_state((pictures, channels, *size))
        values = channels * size[0] * size[1]
        shared = np.float32(np.prod(before) / np.prod(size))
        for picture in range(pictures):
            s, y = (
                resized(each.reshape(-1, channels, *before), size).reshape(-1, values)
                for each in _pairs(state, picture)
            )
            y *= shared
            # A few of the enlarged pairs may have lost their curvature.
            curved = np.einsum("md,md->m", s, y) > MIN_CURVATURE
            if not curved.any():
                continue
            _write_pairs(carried, picture, s[curved], y[curved])
            scale = state["scale"][picture, None]
            by_place = resized(scale, size) if self.neighbourhood else scale
            carried["scale"][picture] = by_place[0] / shared
            carried["step"][picture] = state["step"][picture]
        return carried

    def shown(self, moved: Moved) -> Array:
        """Return the current images."""
        return moved.images


def _pairs(state: State, picture: int) -> tuple[Array, Array]:
    """Return a picture's pairs of s and y, (pairs, D) each, the oldest first."""
    history = len(state["s"][picture])
    by_age = (int(state["slot"][picture]) + np.arange(history)) % history
    used = by_age[state["curvature"][picture, by_age] > 0]
    return state["s"][picture, used], state["y"][picture, used]


def _write_pairs(state: State, picture: int, s: Array, y: Array) -> None:
    """Write pairs, the oldest first, and the values derived from them, into a fresh state."""
    pairs = len(s)
    r = np.triu(s @ y.T)
    state["s"][picture, :pairs], state["y"][picture, :pairs] = s, y
    state["r_inverse"][picture, :pairs, :pairs] = np.linalg.inv(r.astype(np.float64))
    state["curvature"][picture, :pairs] = np.diag(r)
    state["slot"][picture] = pairs % len(state["s"][picture])
