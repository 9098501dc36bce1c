"""Texture synthesis (Gatys, Ecker & Bethge 2015): noise brought to an exemplar's Gram matrices.

Embedding takes three lines::

    synthesis = Texture("vgg16", device="auto")
    result = synthesis("brick.png", progress=print)
    result.image  # (H, W, 3) float32, RGB in [0, 1]
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.cache.lru_cache import LruCache, key_of
from nstbatch.runtime.checks import Pooling, above, options_or_default, whole
from nstbatch.runtime.descent.optimizers import optimizer_named
from nstbatch.runtime.descent.progress import ProgressCallback
from nstbatch.runtime.descent.pyramid import DEAR, MARGIN, Level, plan_levels
from nstbatch.runtime.engine.engine import Targets
from nstbatch.runtime.errors import ImageError, UsageError
from nstbatch.runtime.names import TARGET
from nstbatch.runtime.needs.peak_memory import SCALES_KEPT, STYLE_PASSES
from nstbatch.runtime.objectives.magnitudes import magnitudes, waves_of
from nstbatch.runtime.objectives.style_losses import STYLE_LOSSES, least_side
from nstbatch.runtime.objectives.terms import Objective, Term
from nstbatch.runtime.objectives.views import View, wrapped
from nstbatch.runtime.pictures.colours import match_histogram, pooled
from nstbatch.runtime.pictures.images import ImageLike, as_picture
from nstbatch.runtime.pictures.sizes import fit_long_side, from_nchw, resize, resize_tile, to_nchw

from .streams import Streaming
from .system import Result, Run, System
from .texture_options import TextureOptions

# Pixels of the tiling beyond each edge that the network sees, at every scale; tried with 8, 16 and
# 32: docs/decisions/0009-texture-defaults.md.
WRAPPED_MARGIN = 16

# From noise, the first size makes all large forms, the others add detail; its steps are cheap.
COARSE_LONGER = -1.0

# Variations of an exemplar share its targets: one set for each scale.
KEPT_TARGETS = 16


class Texture(System, Streaming[ImageLike, TextureOptions, Result]):
    """A bundle on a device, ready to make textures; those of one size share their sessions."""

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        tile_size: int | None = None,
    ) -> None:
        """Choose a bundle and a device; see :class:`.system.System`."""
        super().__init__(
            model, device=device, precision=precision, threads=threads, tile_size=tile_size
        )
        self._targets: LruCache[Targets] = LruCache(KEPT_TARGETS)

    def __call__(
        self,
        exemplar: ImageLike,
        options: TextureOptions | None = None,
        *,
        others: Sequence[tuple[ImageLike, float]] = (),
        variation: int = 0,
        checkpoint: str | os.PathLike[str] | None = None,
        progress: ProgressCallback | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Result:
        """Make a texture.

        Args:
            exemplar: The model of the texture: a path, or an array (H, W, 3), RGB in [0, 1].
            options: The options; the defaults if None.
            others: Further exemplars, and their weights beside 1 for the first. The statistics are
                mixed, so the texture has the forms and colours of all.
            variation: Number of the variation, from 0; each starts from its own noise.
            checkpoint: A file to save the run to, once a minute, and to resume from if it holds
                this run; it is removed when the run is finished.
            progress: Called after every step.
            stop: Called before every step; True ends the run.

        A loss that is not finite raises no error: the result has the last picture before it, and
        gives the ``reason``.

        Raises:
            UnknownNameError: The options name a layer that the bundle lacks; lists those it has.
            UsageError: No layer is left, none has a weight, or the texture is too small for one;
                or a spectrum is asked for of several exemplars, whose waves have no mean.
            ImageError: An exemplar cannot be read, is smaller than the receptive field of a
                layer, or is an array of another kind.
        """
        options = options_or_default(options, TextureOptions)
        whole("variation", variation, 0)
        for _, weight in others:
            above("weight of an exemplar", weight, 0)
        if others and options.spectrum_weight > 0:
            raise UsageError("The spectrum of several exemplars has no mean: leave it out.")
        exemplars = ((exemplar, 1.0), *others)
        plan = partial(self._plan, exemplars, options, variation, checkpoint)
        return self._carry_out(plan, progress, stop)

    def _plan(
        self,
        exemplars: Sequence[tuple[ImageLike, float]],
        options: TextureOptions,
        variation: int,
        checkpoint: str | os.PathLike[str] | None,
    ) -> Run:
        """Read the exemplars and describe the run; see :meth:`__call__`."""
        objective = self.objective(options)
        self.check(options)
        # A texture of the exemplar's own size needs all of its pixels, to know it.
        size = None if options.given_shape is None else options.exemplar_size
        read = [as_picture(exemplar, size).pixels for exemplar, _ in exemplars]
        weights = [weight for _, weight in exemplars]
        shape = texture_shape(read[0].shape, options)
        if options.given_shape is None:
            self._check_shape(shape, objective, options)
        pictures = [self._exemplar(picture, objective, options) for picture in read]
        smallest = min(pictures, key=lambda pixels: min(pixels.shape[:2]))
        levels = self._levels(shape, smallest, objective, options)
        colours = pooled(pictures, weights)
        optimizer = optimizer_named(options.optimizer, options.learning_rate)

        def targets(level: Level, begun: Array) -> Targets:
            share = max(level.height, level.width) / max(shape)
            about = (objective.terms, options.pooling)
            found = [self._targets_at(share, level, each, *about) for each in pictures]
            return _mean(found, weights)

        def finish(images: Array) -> Array:
            image = from_nchw(images)
            return match_histogram(image, colours) if options.histogram else image

        return Run(
            objective=objective,
            levels=levels,
            images=_noise(colours, levels[0].canvas, (options.seed, variation)),
            optimizer=optimizer,
            pooling=options.pooling,
            targets=targets,
            views=lambda level: _views(level, options),
            enlarge=_enlarged if options.tileable else None,
            tolerance=options.tolerance,
            checkpoint=self._checkpoint_file(
                checkpoint, options, optimizer, levels, variation, *pictures, *weights[1:]
            ),
            finish=finish,
        )

    def check(self, options: TextureOptions) -> None:
        """Raise the errors of any exemplar.

        Raises:
            UnknownNameError: There is no such layer, or the bundle lacks the pooling.
            UsageError: No layer is left, none has a weight, or the texture is too small for one.
        """
        objective = self.objective(options)
        self.engine.bundle.graph_path("gradient", options.pooling)
        if options.given_shape is None:  # it depends on the exemplar
            return
        try:
            shape = texture_shape(options.given_shape, options)
            self._check_shape(shape, objective, options)
        except ImageError as error:
            raise UsageError(str(error)) from error

    def peak_memory(
        self, options: TextureOptions, shape: tuple[int, int], pictures: int = 1
    ) -> int | None:
        """Return the estimated peak of this process's memory; see :mod:`.style_transfer`."""
        steps = [self.objective(options).layers] * min(options.scales, SCALES_KEPT)
        optimizer = optimizer_named(options.optimizer)
        cost = STYLE_PASSES[options.style_loss]
        return self.engine.peak_of_descent(steps, cost, optimizer, options.pooling, shape, pictures)

    def objective(self, options: TextureOptions) -> Objective:
        """Return the weighted terms of the options; UnknownNameError for an unknown layer.

        The weights of the layers are scaled to a sum of 1.
        """
        weights = self._layer_weights(options)
        total = sum(weights.values())
        if total == 0:
            raise UsageError("At least one layer needs a weight above 0.")
        objective = Objective()
        for layer, weight in weights.items():
            objective += weight / total * self._style_loss(layer, options)
        if options.spectrum_weight > 0:
            objective += options.spectrum_weight * magnitudes()
        return objective

    def _style_loss(self, layer: str, options: TextureOptions) -> Objective:
        stride = self.engine.bundle.layer(layer).stride
        if stride is None and options.style_loss == "shifted-gram":
            raise UsageError(f"{layer} has no places that could be shifted; leave it out.")
        return STYLE_LOSSES[options.style_loss]["mse"](layer, stride or 1)

    def _layer_weights(self, options: TextureOptions) -> Mapping[str, float]:
        """Return the weights of the chosen layers, or the bundle's, down to ``up_to``."""
        bundle = self.engine.bundle
        chosen = options.layers or dict.fromkeys(bundle.style_layers, 1.0)
        weights = {bundle.layer(name).name: weight for name, weight in chosen.items()}
        if options.up_to is None:
            return weights
        deepest = bundle.layers.index(bundle.layer(options.up_to))
        within = bundle.layer_names[: deepest + 1]
        wanted = {name: weight for name, weight in weights.items() if name in within}
        if not wanted:
            first = min(weights, key=bundle.layer_names.index)
            raise UsageError(f"No layer is left up to {options.up_to}: the first one is {first}.")
        return wanted

    def _check_shape(
        self, shape: tuple[int, int], objective: Objective, options: TextureOptions
    ) -> None:
        """Raise an ImageError if a texture (height, width) is too small for the objective."""
        self.engine.limits.check_side("texture", shape, objective.layers, options.pooling)
        if min(shape) < least_side(options.style_loss):
            raise ImageError(
                f"The texture is {shape[1]}x{shape[0]} pixels; shifted-gram needs at least "
                f"{least_side(options.style_loss)}x{least_side(options.style_loss)}."
            )

    def _exemplar(self, pixels: Array, objective: Objective, options: TextureOptions) -> Array:
        """Return the exemplar (H, W, 3) at its size; an ImageError if that is too small.

        The receptive field of every layer must fit in: on less, the statistics are those of edges.
        """
        height, width, _ = pixels.shape
        if options.exemplar_size is not None:
            height, width = fit_long_side(height, width, options.exemplar_size)
            pixels = resize(pixels, (height, width))
        need, why, advice = self._need(objective, options)
        if min(height, width) < need:
            raise ImageError(
                f"The exemplar is {width}x{height} pixels; {why}. "
                f"Take a larger one, enlarge it, or {advice}."
            )
        return pixels

    def _levels(
        self,
        shape: tuple[int, int],
        exemplar: Array,
        objective: Objective,
        options: TextureOptions,
    ) -> list[Level]:
        """Plan the sizes; at each, texture and exemplar are large enough for every layer."""
        smallest, _ = self.engine.limits.largest_need(objective.layers, options.pooling)
        need, *_ = self._need(objective, options)
        ratio = min(shape) / min(exemplar.shape[:2])
        return plan_levels(
            *shape,
            size=max(shape),
            scales=options.scales,
            steps=options.iterations,
            smallest=max(smallest, math.ceil(need * ratio), least_side(options.style_loss)),
            margin=0 if options.tileable else MARGIN,
            power=COARSE_LONGER,
            few_above=DEAR,
        )

    def _need(self, objective: Objective, options: TextureOptions) -> tuple[int, str, str]:
        """Return the smallest side of an exemplar, in pixels, the reason, and what to do otherwise.

        A layer that sees the whole picture counts with its smallest picture side.
        """
        limits, bundle = self.engine.limits, self.engine.bundle
        field, name = max(
            (
                bundle.layer(name).receptive_field or limits.smallest_side(name, options.pooling),
                name,
            )
            for name in objective.layers
        )
        shifted = least_side(options.style_loss)
        if shifted > field:
            return shifted, f"shifted-gram needs {shifted}x{shifted}", "take another style loss"
        return field, f"{name} sees {field}x{field} at once", "leave out the deeper layers"

    def _targets_at(
        self,
        share: float,
        level: Level,
        exemplar: Array,
        terms: tuple[Term, ...],
        pooling: Pooling,
    ) -> Targets:
        """Return the targets of a level: the exemplar's statistics at a share of its size."""
        height, width, _ = exemplar.shape
        shrunk = resize(exemplar, (round(share * height), round(share * width)))
        of_layers = tuple(term for term in terms if not term.given)
        targets = self._targets.get(
            (self.engine.provider.for_targets, key_of(shrunk), of_layers, pooling),
            lambda: self.engine.targets(of_layers, to_nchw(shrunk), pooling),
        )
        waves = {TARGET + term.name: waves_of(shrunk, level.canvas) for term in terms if term.given}
        return {**targets, **waves}


def texture_shape(exemplar: tuple[int, ...], options: TextureOptions) -> tuple[int, int]:
    """Return the height and width of the texture of an exemplar, given the exemplar's own."""
    height, width = options.given_shape or exemplar[:2]
    longest = max(height, width)
    return fit_long_side(height, width, min(longest, options.max_size or longest))


def _mean(targets: Sequence[Targets], weights: Sequence[float]) -> Targets:
    """Return the weighted mean of the targets of several exemplars; of one, its own."""
    if len(targets) == 1:
        return targets[0]
    return {
        name: np.average([each[name] for each in targets], 0, weights).astype(np.float32)
        for name in targets[0]
    }


def _views(level: Level, options: TextureOptions) -> tuple[View, ...]:
    if not options.tileable:
        return ()
    return (wrapped(min(WRAPPED_MARGIN, level.height, level.width)),)


def _enlarged(images: Array, level: Level) -> Array:
    return resize_tile(images, level.canvas)


def _noise(exemplar: Array, canvas: tuple[int, int], seed: tuple[int, int]) -> Array:
    """Return white noise, (1, 3, *canvas): pixels of the exemplar, chosen at random."""
    random = np.random.default_rng(seed)
    return to_nchw(random.choice(exemplar.reshape(-1, 3), canvas))
