"""Image reconstruction (Mahendran & Vedaldi 2015, 2016): what a layer keeps of an image.

From noise, an image is sought of which a layer sees the same as of the original, and which is as
smooth and as moderate as natural images are::

    reconstruct = Reconstruction("vgg16", device="auto")
    result = reconstruct("photo.jpg", ReconstructionOptions(layers=("relu1_1", "relu5_1")))
    for layer in result.layers:
        print(layer.layer, layer.error)  # |F - F0| / |F0|
        layer.image  # (H, W, 3) float32, RGB in [0, 1]
"""

from __future__ import annotations

import fnmatch
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.bundles.bundle import Bundle, Layer
from nstbatch.runtime.descent.loop import (
    PIXEL_BOUNDS,
    Outcome,
    StopReason,
    Varying,
    descend,
    nothing_varies,
)
from nstbatch.runtime.descent.optimizers import Optimizer, optimizer_named
from nstbatch.runtime.descent.progress import Progress, ProgressCallback, named_losses
from nstbatch.runtime.engine.engine import Targets
from nstbatch.runtime.names import TARGET
from nstbatch.runtime.objectives.prior_terms import alpha_norm, total_variation_beta
from nstbatch.runtime.objectives.terms import Objective, content
from nstbatch.runtime.objectives.views import JITTER, View, random_jitter
from nstbatch.runtime.pictures.images import ImageLike, as_picture
from nstbatch.runtime.pictures.sizes import fit_long_side, from_nchw, resize, to_nchw

from .reconstruction_options import ReconstructionOptions
from .system import System

ALL_LAYERS = "all"

# nnpreimage, get_defaults.m: after 300 steps with jitter, 50 without it at a tenth of the rate.
SETTLING_SHARE, SETTLING_RATE = 50 / 350, 0.1


@dataclass(frozen=True)
class ReconstructedLayer:
    """What a layer kept of an image."""

    layer: str
    tv_weight: float
    image: Array
    """(H, W, 3), RGB in [0, 1]."""
    error: float
    """|F - F0| / |F0| of the layer's activation, Euclidean; 1 is as wrong as seeing nothing."""
    losses: Mapping[str, float]
    """Weighted, by term, and their "total"."""
    steps: int


@dataclass(frozen=True)
class ReconstructionResult:
    """An image as the layers of a network keep it, and how that came about."""

    original: Array
    """(H, W, 3), RGB in [0, 1]: what the network was shown."""
    layers: tuple[ReconstructedLayer, ...]
    """From the image on, and by the weight of the total variation; the last one may be unfinished,
    see ``reason``."""
    steps: int
    """Over all layers."""
    seconds: float
    provider: str
    precision: str
    reason: StopReason


@dataclass(frozen=True)
class _Task:
    """One layer to be reconstructed."""

    layer: Layer
    tv_weight: float
    objective: Objective


@dataclass(frozen=True)
class _Phase:
    """Steps that an optimiser takes in one go."""

    steps: int
    optimizer: Optimizer
    views: tuple[View, ...] = ()
    varying: Varying = nothing_varies


class Reconstruction(System):
    """A bundle on a device, ready to reconstruct images; those of one shape share their set-up."""

    def __call__(
        self,
        image: ImageLike,
        options: ReconstructionOptions | None = None,
        *,
        progress: ProgressCallback | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> ReconstructionResult:
        """Reconstruct an image from each of the layers.

        Args:
            image: A path, or an array (H, W, 3), RGB in [0, 1].
            options: How; the defaults if None.
            progress: Called after every step; its stage is the layer.
            stop: Asked before every step whether to end here.

        A loss that is not finite raises nothing: the result ends with that layer, and says so in
        its ``reason``.

        Raises:
            UnknownNameError: The bundle lacks a layer; lists those it has.
            ImageError: The picture cannot be read, is too small for a layer, or is an array of
                something else.
        """
        started = time.perf_counter()
        options = options or ReconstructionOptions()
        tasks = self._tasks(options)
        original = self._shown(as_picture(image).pixels, tasks, options)
        images = to_nchw(original)
        terms = tuple(dict.fromkeys(task.objective.terms[0] for task in tasks))
        targets = self.engine.targets(terms, images, options.pooling)
        noise = np.random.default_rng(options.seed).random(images.shape, dtype=np.float32)
        done: list[ReconstructedLayer] = []
        reason = StopReason.FINISHED
        for task in tasks:
            report = _reporter(progress, task, len(done), len(tasks), options, original)
            with self.engine.picture():
                outcome = self._run(task, noise, targets, options, report, stop or (lambda: False))
            done.append(_reconstructed(task, outcome))
            reason = outcome.reason
            if reason is not StopReason.FINISHED:
                break
        return ReconstructionResult(
            original=original,
            layers=tuple(done),
            steps=sum(layer.steps for layer in done),
            seconds=time.perf_counter() - started,
            provider=self.engine.provider.device,
            precision=self.engine.provider.precision,
            reason=reason,
        )

    def layers(self, options: ReconstructionOptions) -> tuple[Layer, ...]:
        """The layers that the options stand for; UnknownNameError for an unknown one."""
        if options.layers is None:
            return last_of_stages(self.engine.bundle.layers)
        return matching_layers(self.engine.bundle, options.layers)

    def _tasks(self, options: ReconstructionOptions) -> list[_Task]:
        return [
            _Task(layer, weight, layer_objective(layer, weight, options))
            for layer in self.layers(options)
            for weight in options.tv_weights_of(layer.receptive_field)
        ]

    def _shown(self, photo: Array, tasks: Sequence[_Task], options: ReconstructionOptions) -> Array:
        """The photo at the size asked for; an ImageError where it is too small for a layer."""
        layers = [task.layer.name for task in tasks]
        height, width, _ = photo.shape
        size = fit_long_side(height, width, options.size)
        self.engine.limits.check_side("picture", photo.shape, layers, options.pooling)
        self.engine.limits.check_side(
            "picture at the size asked for", size, layers, options.pooling
        )
        return resize(photo, size)

    def _run(
        self,
        task: _Task,
        images: Array,
        targets: Targets,
        options: ReconstructionOptions,
        report: Callable[[int, Array], None],
        stop: Callable[[], bool],
    ) -> Outcome:
        """Phase after phase, each from where the one before it ended."""
        name = TARGET + task.objective.terms[0].name
        taken = 0
        for phase in _phases(options, task.layer):
            descent = self.engine.descent(
                task.objective,
                {name: targets[name]},
                images,
                phase.optimizer,
                phase.optimizer.initial_state(images.shape),
                pooling=options.pooling,
                bounds=PIXEL_BOUNDS,
                views=phase.views,
                varying=phase.varying,
            )
            with closing(descent):
                outcome = descend(descent, phase.steps, _counted_from(report, taken), stop)
            taken, images = taken + outcome.steps, outcome.images
            if outcome.reason is not StopReason.FINISHED:
                break
        return replace(outcome, steps=taken)


def matching_layers(bundle: Bundle, patterns: Sequence[str]) -> tuple[Layer, ...]:
    """The layers of a bundle, in its order, that match one of the patterns, or "all" of them.

    Raises:
        UnknownNameError: A pattern matches none; lists the layers.
    """
    chosen: set[str] = set()
    for pattern in patterns:
        pattern = "*" if pattern == ALL_LAYERS else pattern
        matches = fnmatch.filter(bundle.layer_names, pattern)
        chosen.update(matches or [bundle.layer(pattern).name])
    return tuple(layer for layer in bundle.layers if layer.name in chosen)


def last_of_stages(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The last layer of every stage: of the layers that have one stride."""
    return tuple({layer.stride: layer for layer in layers}.values())


def layer_objective(layer: Layer, tv_weight: float, options: ReconstructionOptions) -> Objective:
    """What a layer is reconstructed with: its content, and priors if they have any weight."""
    return (
        content(layer.name)
        + _weighted(options.alpha_weight_of(tv_weight), alpha_norm(options.alpha))
        + _weighted(tv_weight, total_variation_beta(options.tv_beta))
    )


def _weighted(weight: float, objective: Objective) -> Objective:
    """A part of an objective, left out where it weighs nothing."""
    return weight * objective if weight > 0 else Objective()


def _phases(options: ReconstructionOptions, layer: Layer) -> list[_Phase]:
    """All steps at once; or most with jitter, and the last ones without it, to settle."""
    name, jitter = options.optimizer_of(layer.stride), options.jitter_of(layer.stride)
    optimizer = optimizer_named(name, options.learning_rate_of(name))
    if not jitter:
        return [_Phase(options.iterations, optimizer)]
    settling = math.ceil(options.iterations * SETTLING_SHARE)
    slower = optimizer_named(name, optimizer.learning_rate * SETTLING_RATE)
    return [
        _Phase(
            options.iterations - settling,
            optimizer,
            (JITTER,),
            random_jitter(jitter, options.seed),
        ),
        _Phase(settling, slower),
    ]


def _counted_from(
    report: Callable[[int, Array], None], before: int
) -> Callable[[int, Array], None]:
    """A phase's own report, which counts the steps of the phases before it as well."""
    return lambda step, losses: report(before + step, losses)


def _reporter(
    progress: ProgressCallback | None,
    task: _Task,
    done: int,
    tasks: int,
    options: ReconstructionOptions,
    original: Array,
) -> Callable[[int, Array], None]:
    """What tells a run's progress over all layers, of which so many are done."""
    steps = tasks * options.iterations

    def report(step: int, losses: Array) -> None:
        if progress is not None:
            taken = done * options.iterations + step
            progress(
                Progress(
                    scale=1,
                    scales=1,
                    step=taken,
                    steps=steps,
                    share=taken / steps,
                    height=original.shape[0],
                    width=original.shape[1],
                    losses=named_losses(task.objective, losses),
                    stage=task.layer.name,
                )
            )

    return report


def _reconstructed(task: _Task, outcome: Outcome) -> ReconstructedLayer:
    losses = named_losses(task.objective, outcome.losses)
    # The content loss is relative to its target, and comes first: |F - F0|^2 / |F0|^2.
    return ReconstructedLayer(
        layer=task.layer.name,
        tv_weight=task.tv_weight,
        image=from_nchw(outcome.images),
        error=math.sqrt(losses[task.objective.terms[0].name]),
        losses=losses,
        steps=outcome.steps,
    )
