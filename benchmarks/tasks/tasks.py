"""The task of the contestants: pictures and an objective, independent of any framework.

Each contestant's process receives the task and builds what it needs from it: an ONNX graph, or a
PyTorch network. No contestant receives another's activations.
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
    """Fixed numbers of its formula, by name."""


@dataclass(frozen=True)
class AdamSettings:
    """Settings of Adam, see :class:`nstbatch.runtime.descent.adam.Adam`."""

    learning_rate: float
    betas: tuple[float, float]
    epsilon: float


@dataclass(frozen=True)
class LBFGSSettings:
    """Settings of L-BFGS, see :class:`nstbatch.runtime.descent.lbfgs.LBFGS`."""

    learning_rate: float
    history: int


@dataclass(frozen=True)
class NormalizedGradientSettings:
    """Settings of :class:`nstbatch.runtime.descent.normalized_gradient.NormalizedGradient`."""

    learning_rate: float


OptimizerSettings: TypeAlias = AdamSettings | LBFGSSettings | NormalizedGradientSettings


@dataclass(frozen=True, eq=False)
class Task:
    """Pictures to change and the objective to minimise."""

    model: str
    """Name of a bundle, or its folder."""
    pooling: Pooling
    terms: tuple[WeightedTerm, ...]
    images: Array
    """Start images (N, 3, H, W), RGB in [0, 1]."""
    references: Mapping[str, Array]
    """Pictures from which the targets are computed, by kind of term: (N or 1, 3, H, W)."""
    optimizer: OptimizerSettings
    bounds: tuple[float, float]
    """Smallest and largest pixel value."""
    given: Mapping[str, Array] = field(default_factory=dict)
    """Targets that no picture gives, by kind of term; the same for all pictures."""

    def picture(self, index: int) -> Task:
        """The task of one picture of the batch; a reference that all pictures share stays."""
        references = {
            kind: pictures if len(pictures) == 1 else pictures[index : index + 1]
            for kind, pictures in self.references.items()
        }
        return replace(self, images=self.images[index : index + 1], references=references)


def make_task(verb: str, model: str, size: int, batch: int) -> Task:
    """The task of a verb, with square synthetic pictures that are the same each time.

    Args:
        verb: A key of :data:`MAKERS`.
        model: Name of a bundle, or its folder.
        size: Side of the pictures in pixels.
        batch: Number of pictures.

    Raises:
        UnknownNameError: There is no such model.
        ImageError: The pictures are too small for a layer of the objective.
    """
    return MAKERS[verb](model, size, batch)


# --- The verbs --------------------------------------------------------------------------------
# Each has its default settings at its last scale; only style transfer has another optimiser. Random
# shifts, as in a dream or a reconstruction from a deep layer, are left out: they cost next to
# nothing, and a compiled baseline would be compiled again for every shift.


def _stylize(model: str, size: int, batch: int) -> Task:
    """Style transfer that starts from the photos."""
    from nstbatch.runtime.descent.optimizers import optimizer_named
    from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
    from nstbatch.runtime.systems.style_transfer import StyleTransfer

    # Not the default: Adam's own part of a step is tiny, here and in PyTorch.
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
        references={"scaled-content": pictures[:-1], "scaled-style": pictures[-1:]},
        optimizer=settings_of(optimizer_named(options.optimizer, options.learning_rate)),
        bounds=_pixel_bounds(),
    )


def _texture(model: str, size: int, batch: int) -> Task:
    """Texture synthesis from noise, with one exemplar for each picture of the batch."""
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
    """Reconstruction from noise, from the deepest layer, whose steps take longest."""
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
    """DeepDream of all channels of the layer, starting from the photos."""
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
    """Raise an ImageError if the pictures are too small."""
    system.engine.limits.check_side("picture", (size, size), objective.layers, pooling)


def _pixel_bounds() -> tuple[float, float]:
    from nstbatch.runtime.descent.loop import PIXEL_BOUNDS

    return PIXEL_BOUNDS.lower, PIXEL_BOUNDS.upper


def settings_of(optimizer: Optimizer) -> OptimizerSettings:
    """The settings of an optimiser, without any framework."""
    from nstbatch.runtime.descent.optimizers import LBFGS, Adam

    if isinstance(optimizer, Adam):
        return AdamSettings(optimizer.learning_rate, optimizer.betas, optimizer.epsilon)
    if isinstance(optimizer, LBFGS):
        return LBFGSSettings(optimizer.learning_rate, optimizer.history)
    return NormalizedGradientSettings(optimizer.learning_rate)


# --- Pictures ---------------------------------------------------------------------------------


def synthetic_pictures(count: int, size: int) -> Array:
    """Pictures (count, 3, size, size), RGB in [0, 1]: all different, but the same each time."""
    rng = np.random.default_rng(0)
    return np.stack([photo_like(rng, size, size) for _ in range(count)])


def noise(count: int, size: int) -> Array:
    """White noise (count, 3, size, size) in [0, 1], the same each time."""
    return np.random.default_rng(0).random((count, 3, size, size), dtype=np.float32)


def terms_of(objective: Objective) -> tuple[WeightedTerm, ...]:
    """The terms of an objective, without any framework."""
    return tuple(
        WeightedTerm(weight, term.kind, term.layer, term.attributes)
        for weight, term in objective.weighted
    )
