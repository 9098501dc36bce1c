"""What contestants do: pictures and an objective, written down without any framework.

A task reaches a contestant's process as it is, and each makes of it what it needs: an ONNX graph,
or a network of PyTorch. Nobody is handed another's activations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nstbatch.runtime.manifest import Pooling
from nstbatch.runtime.synthetic import photo_like

if TYPE_CHECKING:
    from nstbatch.runtime.terms import Objective

Array: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class WeightedTerm:
    """A term of :mod:`nstbatch.runtime.terms`, by its name."""

    weight: float
    kind: str
    layer: str | None


@dataclass(frozen=True)
class AdamSettings:
    """What Adam is told, see :class:`nstbatch.runtime.adam.Adam`."""

    learning_rate: float
    betas: tuple[float, float]
    epsilon: float


@dataclass(frozen=True, eq=False)
class Task:
    """Pictures to move, and what down."""

    model: str
    """Name of a bundle, or its folder."""
    pooling: Pooling
    terms: tuple[WeightedTerm, ...]
    images: Array
    """(N, 3, H, W) to start from, RGB in [0, 1]."""
    references: Mapping[str, Array]
    """The pictures whose targets the terms of a kind want, (N, 3, H, W) or (1, 3, H, W)."""
    adam: AdamSettings
    bounds: tuple[float, float]
    """What pixels are kept in."""

    def picture(self, index: int) -> Task:
        """The task of one picture of the batch alone; a reference that all share stays."""
        references = {
            kind: pictures if len(pictures) == 1 else pictures[index : index + 1]
            for kind, pictures in self.references.items()
        }
        return replace(self, images=self.images[index : index + 1], references=references)


def make_task(verb: str, model: str, size: int, batch: int) -> Task:
    """The task of a verb: square pictures that no camera took, the same ones each time.

    Args:
        verb: A key of :data:`MAKERS`.
        model: Name of a bundle, or its folder.
        size: Side of the pictures in pixels.
        batch: How many pictures.

    Raises:
        UnknownNameError: There is no such model.
        ImageError: A layer of the objective wants larger pictures.
    """
    return MAKERS[verb](model, size, batch)


def _stylize(model: str, size: int, batch: int) -> Task:
    """Style transfer with all that it has by default, at its last scale, from the photos."""
    from nstbatch.runtime.loop import PIXEL_BOUNDS
    from nstbatch.runtime.optimizers import Adam
    from nstbatch.runtime.options import StyleTransferOptions
    from nstbatch.runtime.style_transfer import StyleTransfer

    options = StyleTransferOptions(size=size)
    transfer = StyleTransfer(model, device="cpu", precision="fp32")
    objective = transfer.objective(options)
    layers = [term.layer for term in objective.terms if term.layer is not None]
    transfer.engine.check_side("picture", (size, size), layers, options.pooling)
    pictures = synthetic_pictures(batch + 1, size)
    adam = Adam()
    return Task(
        model,
        options.pooling,
        terms_of(objective),
        images=pictures[:-1],
        references={"content": pictures[:-1], "style": pictures[-1:]},
        adam=AdamSettings(adam.learning_rate, adam.betas, adam.epsilon),
        bounds=(PIXEL_BOUNDS.lower, PIXEL_BOUNDS.upper),
    )


MAKERS: Mapping[str, Callable[[str, int, int], Task]] = {"stylize": _stylize}


def synthetic_pictures(count: int, size: int) -> Array:
    """(count, 3, size, size), RGB in [0, 1]: different from each other, the same each time."""
    rng = np.random.default_rng(0)
    return np.stack([photo_like(rng, size, size) for _ in range(count)])


def terms_of(objective: Objective) -> tuple[WeightedTerm, ...]:
    """An objective, written down."""
    return tuple(WeightedTerm(weight, t.kind, t.layer) for weight, t in objective.weighted)
