"""What contestants do: pictures and an objective, written down without any framework.

A task reaches a contestant's process as it is, and each makes of it what it needs: an ONNX graph,
or a network of PyTorch. Nobody is handed another's activations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.checks import Pooling
from nstbatch.runtime.pictures.synthetic import photo_like

if TYPE_CHECKING:
    from nstbatch.runtime.descent.optimizers import Optimizer
    from nstbatch.runtime.objectives.terms import Objective
    from nstbatch.runtime.systems.system import System


@dataclass(frozen=True)
class WeightedTerm:
    """A term of :mod:`nstbatch.runtime.objectives.terms`, by its name."""

    weight: float
    kind: str
    layer: str | None
    attributes: tuple[tuple[str, float], ...] = ()
    """Fixed numbers of its formula."""


@dataclass(frozen=True)
class AdamSettings:
    """What Adam is told, see :class:`nstbatch.runtime.descent.adam.Adam`."""

    learning_rate: float
    betas: tuple[float, float]
    epsilon: float


@dataclass(frozen=True)
class LBFGSSettings:
    """What L-BFGS is told, see :class:`nstbatch.runtime.descent.lbfgs.LBFGS`."""

    learning_rate: float
    history: int


@dataclass(frozen=True)
class NormalizedGradientSettings:
    """See :class:`nstbatch.runtime.descent.normalized_gradient.NormalizedGradient`."""

    learning_rate: float


OptimizerSettings: TypeAlias = AdamSettings | LBFGSSettings | NormalizedGradientSettings


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
    optimizer: OptimizerSettings
    bounds: tuple[float, float]
    """What pixels are kept in."""
    given: Mapping[str, Array] = field(default_factory=dict)
    """The targets of the terms of a kind that no picture leaves behind, the same for all."""

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


# --- The verbs --------------------------------------------------------------------------------
# Each with what it has by default, at its last scale; style transfer with another optimiser. What
# is drawn anew in every step is left out: the jitter of a dream, and of a reconstruction from a
# deep layer. It costs next to nothing, and a compiled baseline would be compiled for every shift.


def _stylize(model: str, size: int, batch: int) -> Task:
    """Style transfer, from the photos."""
    from nstbatch.runtime.descent.optimizers import optimizer_named
    from nstbatch.runtime.systems.style_transfer import StyleTransfer
    from nstbatch.runtime.systems.style_transfer_options import StyleTransferOptions

    # Not the default: a step of Adam is next to nothing but the network, here and in PyTorch.
    options = StyleTransferOptions(size=size, optimizer="adam")
    transfer = StyleTransfer(model, device="cpu", precision="fp32")
    objective = transfer.objective(options)
    _check(transfer, size, objective, options.pooling)
    pictures = synthetic_pictures(batch + 1, size)
    return Task(
        model,
        options.pooling,
        terms_of(objective),
        images=pictures[:-1],
        references={"content": pictures[:-1], "style": pictures[-1:]},
        optimizer=settings_of(optimizer_named(options.optimizer, options.learning_rate)),
        bounds=_pixel_bounds(),
    )


def _texture(model: str, size: int, batch: int) -> Task:
    """Texture synthesis from noise; an exemplar for each of a batch."""
    from nstbatch.runtime.descent.optimizers import optimizer_named
    from nstbatch.runtime.systems.texture import Texture
    from nstbatch.runtime.systems.texture_options import TextureOptions

    options = TextureOptions(width=size, height=size)
    synthesis = Texture(model, device="cpu", precision="fp32")
    objective = synthesis.objective(options)
    _check(synthesis, size, objective, options.pooling)
    return Task(
        model,
        options.pooling,
        terms_of(objective),
        images=noise(batch, size),
        references={"style": synthetic_pictures(batch, size)},
        optimizer=settings_of(optimizer_named(options.optimizer, options.learning_rate)),
        bounds=_pixel_bounds(),
    )


def _reconstruct(model: str, size: int, batch: int) -> Task:
    """Reconstruction from noise, of the deepest of the layers, whose steps are the longest."""
    from nstbatch.runtime.descent.optimizers import optimizer_named
    from nstbatch.runtime.systems.reconstruction import Reconstruction, layer_objective
    from nstbatch.runtime.systems.reconstruction_options import ReconstructionOptions

    options = ReconstructionOptions(size=size)
    reconstruction = Reconstruction(model, device="cpu", precision="fp32")
    layer = reconstruction.layers(options)[-1]
    (weight,) = options.tv_weights_of(layer.receptive_field)
    objective = layer_objective(layer, weight, options)
    _check(reconstruction, size, objective, options.pooling)
    name = options.optimizer_of(layer.stride)
    return Task(
        model,
        options.pooling,
        terms_of(objective),
        images=noise(batch, size),
        references={"content": synthetic_pictures(batch, size)},
        optimizer=settings_of(optimizer_named(name, options.learning_rate_of(name))),
        bounds=_pixel_bounds(),
    )


def _dream(model: str, size: int, batch: int) -> Task:
    """DeepDream, from the photos, of all channels of the layer."""
    from nstbatch.runtime.descent.normalized_gradient import NormalizedGradient
    from nstbatch.runtime.objectives.dream_terms import energy
    from nstbatch.runtime.systems.deepdream import DeepDream, dream_layer
    from nstbatch.runtime.systems.dream_options import DreamOptions

    options = DreamOptions(size=size)
    dream = DeepDream(model, device="cpu", precision="fp32")
    layer = dream_layer(dream.engine.bundle, options)
    objective = energy(layer.name)
    _check(dream, size, objective, options.pooling)
    return Task(
        model,
        options.pooling,
        terms_of(objective),
        images=synthetic_pictures(batch, size),
        references={},
        optimizer=settings_of(NormalizedGradient(options.step_size / 255)),
        bounds=_pixel_bounds(),
        given={"energy": np.ones((1, layer.channels, 1, 1), np.float32)},
    )


MAKERS: Mapping[str, Callable[[str, int, int], Task]] = {
    "stylize": _stylize,
    "texture": _texture,
    "reconstruct": _reconstruct,
    "dream": _dream,
}


def _check(system: System, size: int, objective: Objective, pooling: Pooling) -> None:
    """Raise the ImageError of pictures that are too small."""
    system.engine.limits.check_side("picture", (size, size), objective.layers, pooling)


def _pixel_bounds() -> tuple[float, float]:
    from nstbatch.runtime.descent.loop import PIXEL_BOUNDS

    return PIXEL_BOUNDS.lower, PIXEL_BOUNDS.upper


def settings_of(optimizer: Optimizer) -> OptimizerSettings:
    """An optimiser, written down."""
    from nstbatch.runtime.descent.optimizers import LBFGS, Adam

    if isinstance(optimizer, Adam):
        return AdamSettings(optimizer.learning_rate, optimizer.betas, optimizer.epsilon)
    if isinstance(optimizer, LBFGS):
        return LBFGSSettings(optimizer.learning_rate, optimizer.history)
    return NormalizedGradientSettings(optimizer.learning_rate)


# --- Pictures ---------------------------------------------------------------------------------


def synthetic_pictures(count: int, size: int) -> Array:
    """(count, 3, size, size), RGB in [0, 1]: different from each other, the same each time."""
    rng = np.random.default_rng(0)
    return np.stack([photo_like(rng, size, size) for _ in range(count)])


def noise(count: int, size: int) -> Array:
    """(count, 3, size, size) of white noise in [0, 1]: the same each time."""
    return np.random.default_rng(0).random((count, 3, size, size), dtype=np.float32)


def terms_of(objective: Objective) -> tuple[WeightedTerm, ...]:
    """An objective, written down."""
    return tuple(
        WeightedTerm(weight, term.kind, term.layer, term.attributes)
        for weight, term in objective.weighted
    )
