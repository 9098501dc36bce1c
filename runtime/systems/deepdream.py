"""DeepDream (google/deepdream, 2015): a photo in which a network's activations are amplified.

Embedding takes two lines::

    dream = DeepDream("squeezenet1_1", device="auto")
    dream("photo.jpg", DreamOptions(layer="fire7/concat")).image  # (H, W, 3) float32, RGB in [0, 1]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.bundles.bundle import Bundle, Layer
from nstbatch.runtime.checks import options_or_default
from nstbatch.runtime.descent.normalized_gradient import NormalizedGradient
from nstbatch.runtime.descent.progress import ProgressCallback
from nstbatch.runtime.descent.pyramid import Level, plan_levels
from nstbatch.runtime.engine.engine import Targets
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.names import TARGET
from nstbatch.runtime.needs.peak_memory import DREAM_PASS
from nstbatch.runtime.objectives.dream_terms import energy, guide
from nstbatch.runtime.objectives.terms import Objective, projection
from nstbatch.runtime.objectives.views import JITTER, random_jitter
from nstbatch.runtime.pictures.images import ImageLike, Picture, as_picture
from nstbatch.runtime.pictures.sizes import fit_long_side, long_side, resize, resize_batch, to_nchw

from .dream_options import DREAM_LAYERS, GUIDE_SIZE, DreamOptions
from .streams import Streaming
from .system import Result, Run, System


@dataclass(frozen=True, kw_only=True)
class DreamResult(Result):
    """A dream, and how it was made."""

    channels: tuple[int, ...] | None
    """Channels that were amplified, the strongest first if the photo chose them; None for all."""


class DeepDream(System, Streaming[ImageLike, DreamOptions, DreamResult]):
    """A bundle on a device, ready to dream; photos of the same shape share their sessions."""

    default_model: ClassVar[str] = "squeezenet1_1"  # the fastest of the built-in ones

    def __call__(
        self,
        photo: ImageLike,
        options: DreamOptions | None = None,
        *,
        guide_image: ImageLike | None = None,
        progress: ProgressCallback | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> DreamResult:
        """Dream of a photo.

        Args:
            photo: A path, or an array (H, W, 3), RGB in [0, 1].
            options: The options; the defaults if None.
            guide_image: A picture whose features are amplified, instead of the photo's own.
            progress: Called after every step.
            stop: Called before every step; True ends the run.

        Raises:
            UnknownNameError: The bundle lacks the layer; lists those it has.
            UsageError: The layer lacks a channel, or both channels and a guide are given.
            ImageError: A picture cannot be read, or is too small for the layer.
        """
        options = options_or_default(options, DreamOptions)
        channels: tuple[int, ...] | None = None

        def plan() -> Run:
            nonlocal channels
            picture = as_picture(photo, options.size)
            channels = self.channels(picture, options)
            return self._plan(picture, replace(options, channels=channels), guide_image)

        return DreamResult(**vars(self._carry_out(plan, progress, stop)), channels=channels)

    def channels(self, photo: Picture, options: DreamOptions) -> tuple[int, ...] | None:
        """Return the channels for a photo, the strongest first if it chooses them; None for all.

        The strongest have the most energy at the size of the result: in a dream of all channels
        they rise most.

        Raises:
            UnknownNameError, UsageError, ImageError: See :meth:`__call__`.
        """
        if options.strongest is None:
            return None if options.channels is None else tuple(map(int, options.channels))
        layer = dream_layer(self.engine.bundle, options)
        if options.strongest > layer.channels:
            raise UsageError(
                f"The layer {layer.name} has only {layer.channels} channels, not "
                f"{options.strongest}."
            )
        finest = self._levels(photo.pixels, layer, options)[-1]
        term = projection(layer.name)
        seen = self.engine.targets((term,), finest.fit(photo.pixels), options.pooling)
        (activations,) = seen[TARGET + term.name]
        energies = np.square(activations, dtype=float).mean(axis=(1, 2))
        return tuple(np.argsort(-energies, kind="stable")[: options.strongest].tolist())

    def _plan(self, picture: Picture, options: DreamOptions, guide_image: ImageLike | None) -> Run:
        """Describe the run; see :meth:`__call__`."""
        layer = dream_layer(self.engine.bundle, options)
        objective, targets = self._objective(layer, options, guide_image)
        levels = self._levels(picture.pixels, layer, options)
        return Run(
            objective=objective,
            levels=levels,
            images=levels[0].fit(picture.pixels),
            optimizer=NormalizedGradient(options.step_size / 255),
            pooling=options.pooling,
            targets=lambda level, begun: targets,
            views=lambda level: (JITTER,),
            varying=random_jitter(options.jitter, options.seed),
            enlarge=_keep_the_detail(picture.pixels, levels),
            photo=picture,
        )

    def check(self, options: DreamOptions, guide_image: ImageLike | None = None) -> None:
        """Raise the errors of any photo: an unknown layer or channel, an unusable guide."""
        self.engine.bundle.graph_path("gradient", options.pooling)
        if options.strongest is not None:  # no photo has chosen yet: any channels will do
            options = replace(options, channels=tuple(range(options.strongest)))
        self._objective(dream_layer(self.engine.bundle, options), options, guide_image)

    def peak_memory(
        self, options: DreamOptions, shape: tuple[int, int], pictures: int = 1
    ) -> int | None:
        """Return the estimated peak of this process's memory; see :mod:`.style_transfer`."""
        steps = [[dream_layer(self.engine.bundle, options).name]] * options.octaves
        optimizer = NormalizedGradient()
        return self.engine.peak_of_descent(
            steps, DREAM_PASS, optimizer, options.pooling, shape, pictures
        )

    def _objective(
        self, layer: Layer, options: DreamOptions, guide_image: ImageLike | None
    ) -> tuple[Objective, Targets]:
        """Return the objective and its target."""
        if guide_image is None:
            objective = energy(layer.name)
            (term,) = objective.terms
            channels = None if options.channels is None else tuple(map(int, options.channels))
            return objective, {TARGET + term.name: _chosen(layer, channels)}
        if options.channels is not None:
            raise UsageError("Choose channels or give a guide, not both.")
        objective, pixels = guide(layer.name), as_picture(guide_image, GUIDE_SIZE).pixels
        height, width, _ = pixels.shape
        shape = fit_long_side(height, width, min(GUIDE_SIZE, max(height, width)))
        self.engine.limits.check_side("guide", shape, [layer.name], options.pooling)
        seen = to_nchw(resize(pixels, shape))
        return objective, self.engine.targets(objective.terms, seen, options.pooling)

    def _levels(self, photo: Array, layer: Layer, options: DreamOptions) -> list[Level]:
        """Plan the octaves; an ImageError if the photo is too small for the layer."""
        height, width, _ = photo.shape
        levels = plan_levels(
            height,
            width,
            size=long_side(height, width, options.size, options.max_size),
            scales=options.octaves,
            steps=0,  # set below: the same number at each level
            smallest=self.engine.limits.smallest_side(layer.name, options.pooling),
            factor=options.octave_scale,
        )
        finest = (levels[-1].height, levels[-1].width)
        self.engine.limits.check_picture(photo.shape, finest, [layer.name], options.pooling)
        return [replace(level, steps=options.iterations) for level in levels]


def dream_layer(bundle: Bundle, options: DreamOptions) -> Layer:
    """Return the layer of the options, or the bundle's default.

    A bundle that is not in :data:`DREAM_LAYERS` uses its deepest style layer, or its last layer.

    Raises:
        UnknownNameError: The bundle has no such layer; lists those it has.
        UsageError: The layer has no positions, like a classifier's scores.
    """
    own = DREAM_LAYERS.get(bundle.name) or (*bundle.layer_names, *bundle.style_layers)[-1]
    layer = bundle.layer(options.layer or own)
    if layer.stride is None:
        raise UsageError(
            f"The layer {layer.name} of {bundle.name} sees the picture as a whole; "
            "choose an earlier one, or a class."
        )
    return layer


def _chosen(layer: Layer, channels: Sequence[int] | None) -> Array:
    """Return a (1, C, 1, 1) array: 1 for the chosen channels, by default all, 0 elsewhere."""
    chosen = np.zeros((1, layer.channels, 1, 1), np.float32)
    for channel in range(layer.channels) if channels is None else channels:
        if not 0 <= channel < layer.channels:
            raise UsageError(
                f"The layer {layer.name} has {layer.channels} channels, "
                f"0 to {layer.channels - 1}; there is no channel {channel}."
            )
        chosen[:, channel] = 1
    return chosen


def _keep_the_detail(photo: Array, levels: Sequence[Level]) -> Callable[[Array, Level], Array]:
    """Return a function that enlarges only the dreamed detail, and adds it to the photo.

    google/deepdream's ``detail``. An enlarged picture would lose the photo's own sharpness.
    """

    def enlarge(images: Array, level: Level) -> Array:
        before = levels[levels.index(level) - 1]
        seen_before = resize_batch(before.fit(photo), level.canvas)
        detail = resize_batch(images, level.canvas) - seen_before
        return np.clip(level.fit(photo) + detail, 0, 1)

    return enlarge
