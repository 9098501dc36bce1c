"""Image reconstruction (Mahendran & Vedaldi 2015, 2016): the parts of an image that a layer keeps.

Starting from noise, it finds an image that has the same activations in a layer as the original, and
is as smooth and as moderate as natural images are::

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
from dataclasses import dataclass, replace

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.bundles.bundle import Bundle, Layer
from nstbatch.runtime.checks import Pooling, options_or_default
from nstbatch.runtime.descent.loop import Outcome, StopReason, Varying, nothing_varies
from nstbatch.runtime.descent.optimizers import LBFGS, Optimizer, optimizer_named
from nstbatch.runtime.descent.progress import (
    ProgressCallback,
    named_losses,
    part_of_run,
    reporter,
)
from nstbatch.runtime.descent.pyramid import Level, Report
from nstbatch.runtime.engine.engine import Targets
from nstbatch.runtime.names import TARGET
from nstbatch.runtime.needs.peak_memory import CONTENT_PASS
from nstbatch.runtime.objectives.prior_terms import alpha_norm, total_variation_beta
from nstbatch.runtime.objectives.terms import Objective, content
from nstbatch.runtime.objectives.views import JITTER, View, random_jitter
from nstbatch.runtime.pictures.images import ImageLike, as_picture
from nstbatch.runtime.pictures.sizes import from_nchw, resize, resized_shape, to_nchw

from .reconstruction_options import ReconstructionOptions
from .streams import Streaming
from .system import Run, System, never

ALL_LAYERS = "all"

# nnpreimage, get_defaults.m: after 300 steps with jitter, 50 without it at a tenth of the rate.
SETTLING_SHARE, SETTLING_RATE = 50 / 350, 0.1


@dataclass(frozen=True)
class ReconstructedLayer:
    """An image as one layer keeps it."""

    layer: str
    tv_weight: float
    image: Array
    """(H, W, 3), RGB in [0, 1]."""
    error: float
    """|F - F0| / |F0| of the layer's activation, Euclidean; an activation of zeros has 1."""
    losses: Mapping[str, float]
    """Weighted losses by term, and their "total"."""
    steps: int


@dataclass(frozen=True)
class ReconstructionResult:
    """An image as the layers of a network keep it, and how it was made."""

    original: Array
    """(H, W, 3), RGB in [0, 1]: the image at the size of the run."""
    layers: tuple[ReconstructedLayer, ...]
    """Layers in the network's order, then by the weight of the total variation; the last one may be
    unfinished, see ``reason``."""
    steps: int
    """Number of steps over all layers."""
    seconds: float
    provider: str
    precision: str
    reason: StopReason


@dataclass(frozen=True)
class _Task:
    """A layer to reconstruct from, with one weight of the total variation."""

    layer: Layer
    tv_weight: float
    objective: Objective


@dataclass(frozen=True)
class _Phase:
    """Steps of one optimiser with one set of views."""

    steps: int
    optimizer: Optimizer
    views: tuple[View, ...] = ()
    varying: Varying = nothing_varies


class Reconstruction(System, Streaming[ImageLike, ReconstructionOptions, ReconstructionResult]):
    """A bundle on a device, ready to reconstruct images; those of one shape share sessions."""

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
            options: The options; the defaults if None.
            progress: Called after every step; its stage is the layer.
            stop: Called before every step; True ends the run.

        A loss that is not finite raises no error: the result ends with that layer and gives the
        ``reason``.

        Raises:
            UnknownNameError: The bundle lacks a layer; lists those it has.
            ImageError: The picture cannot be read, is too small for a layer, or is an array of
                another kind.
        """
        started = time.perf_counter()
        options = options_or_default(options, ReconstructionOptions)
        tasks = self._tasks(options)
        original = self._shown(as_picture(image, options.size).pixels, tasks, options)
        images = to_nchw(original)
        terms = tuple(dict.fromkeys(task.objective.terms[0] for task in tasks))
        targets = self.engine.targets(terms, images, options.pooling)
        noise = np.random.default_rng(options.seed).random(images.shape, dtype=np.float32)
        done: list[ReconstructedLayer] = []
        reason = StopReason.FINISHED
        for task in tasks:
            told = part_of_run(progress, len(done), len(tasks), task.layer.name)
            with self.engine.picture():
                outcome = self._reconstruct(task, noise, targets, options, told, stop or never)
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
        """Return the layers of the options; UnknownNameError for an unknown one."""
        if options.layers is None:
            return last_of_stages(self.engine.bundle.layers)
        return matching_layers(self.engine.bundle, options.layers)

    def peak_memory(
        self, options: ReconstructionOptions, shape: tuple[int, int], pictures: int = 1
    ) -> int | None:
        """Return the estimated peak of this process's memory; see :mod:`.style_transfer`."""
        phases = [
            (layer, each) for layer in self.layers(options) for each in _phases(options, layer)
        ]
        steps = [[layer.name] for layer, _ in phases]
        optimizers = (each.optimizer for _, each in phases)
        optimizer = max(optimizers, key=lambda each: each.name == LBFGS.name)  # the largest state
        return self.engine.peak_of_descent(
            steps, CONTENT_PASS, optimizer, options.pooling, shape, pictures
        )

    def _tasks(self, options: ReconstructionOptions) -> list[_Task]:
        return [
            _Task(layer, weight, layer_objective(layer, weight, options))
            for layer in self.layers(options)
            for weight in options.tv_weights_of(layer.receptive_field)
        ]

    def _shown(self, photo: Array, tasks: Sequence[_Task], options: ReconstructionOptions) -> Array:
        """Resize the photo to the size of the options; an ImageError if that is too small."""
        layers = [task.layer.name for task in tasks]
        height, width, _ = photo.shape
        size = resized_shape(height, width, options.size, options.max_size)
        self.engine.limits.check_picture(photo.shape, size, layers, options.pooling)
        return resize(photo, size)

    def _reconstruct(
        self,
        task: _Task,
        images: Array,
        targets: Targets,
        options: ReconstructionOptions,
        progress: ProgressCallback | None,
        stop: Callable[[], bool],
    ) -> Outcome:
        """Run phase after phase, each from the images of the one before it."""
        height, width = images.shape[2:]
        whole = Level(height, width, margin=0, steps=options.iterations)
        report = reporter(progress, task.objective, [whole], from_nchw)
        taken = 0
        for phase in _phases(options, task.layer):
            level = replace(whole, steps=phase.steps)
            run = _phase_run(task, phase, level, images, targets, options.pooling)
            outcome = self._descend(run, _counted_from(report, whole, taken), stop)
            taken, images = taken + outcome.steps, outcome.images
            if outcome.reason is not StopReason.FINISHED:
                break
        return replace(outcome, steps=taken)


def matching_layers(bundle: Bundle, patterns: Sequence[str]) -> tuple[Layer, ...]:
    """Return the layers of a bundle, in its order, that match a pattern; "all" matches all.

    Raises:
        UnknownNameError: A pattern matches no layer; lists the layers.
    """
    chosen: set[str] = set()
    for pattern in patterns:
        pattern = "*" if pattern == ALL_LAYERS else pattern
        matches = fnmatch.filter(bundle.layer_names, pattern)
        chosen.update(matches or [bundle.layer(pattern).name])
    return tuple(layer for layer in bundle.layers if layer.name in chosen)


def last_of_stages(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Return the last layer of every stage, which is all layers of one stride."""
    return tuple({layer.stride: layer for layer in layers}.values())


def layer_objective(layer: Layer, tv_weight: float, options: ReconstructionOptions) -> Objective:
    """Return a layer's objective: its content, and the priors that have a weight."""
    return (
        content(layer.name)
        + _weighted(options.alpha_weight_of(tv_weight), alpha_norm(options.alpha))
        + _weighted(tv_weight, total_variation_beta(options.tv_beta))
    )


def _weighted(weight: float, objective: Objective) -> Objective:
    """Weigh a part of an objective; leave it out if the weight is 0."""
    return weight * objective if weight > 0 else Objective()


def _phases(options: ReconstructionOptions, layer: Layer) -> list[_Phase]:
    """Return one phase of all steps; with jitter, a second one without it, to settle."""
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


def _phase_run(
    task: _Task, phase: _Phase, level: Level, images: Array, targets: Targets, pooling: Pooling
) -> Run:
    """Describe the run of one phase."""
    name = TARGET + task.objective.terms[0].name
    return Run(
        objective=task.objective,
        levels=[level],
        images=images,
        optimizer=phase.optimizer,
        pooling=pooling,
        targets=lambda level, begun: {name: targets[name]},
        views=lambda level: phase.views,
        varying=phase.varying,
    )


def _counted_from(report: Report, whole: Level, before: int) -> Report:
    """Make a phase's report, which also counts the steps of the phases before it."""
    return lambda _, step, losses, images: report(whole, before + step, losses, images)


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
