"""Pictures of classes: what a classifier takes a banana to be, made from noise.

The class's score is raised before the softmax, as in Simonyan, Vedaldi & Zisserman 2014: a
probability alone is had as well by lowering the scores of the others, and then there is little to
be seen. It counts beside the score, so that no other class rises higher still. That what comes out
looks like a picture is due to :mod:`nstbatch.runtime.objectives.spectrum` and a total variation. ::

    picture = ClassPicture("squeezenet1_1", device="auto")
    picture("banana").image  # (H, W, 3) float32, RGB in [0, 1]
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from typing import ClassVar

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.bundles.bundle import Bundle, Layer
from nstbatch.runtime.checks import Pooling
from nstbatch.runtime.descent.loop import Bounds, Steppable
from nstbatch.runtime.descent.optimizers import Adam, State
from nstbatch.runtime.descent.progress import ProgressCallback, named_losses, reporter
from nstbatch.runtime.descent.pyramid import Level, coarse_to_fine
from nstbatch.runtime.errors import BundleError, UsageError
from nstbatch.runtime.names import TARGET
from nstbatch.runtime.objectives.dream_terms import likelihood, score
from nstbatch.runtime.objectives.spectrum import SPECTRUM, Spectrum
from nstbatch.runtime.objectives.terms import Objective, content, total_variation
from nstbatch.runtime.pictures.images import ImageLike, as_picture
from nstbatch.runtime.pictures.sizes import from_nchw, to_nchw

from .class_names import find_class
from .dream_options import ClassPictureOptions
from .system import Result, System


@dataclass(frozen=True, kw_only=True)
class ClassPictureResult(Result):
    """A picture of a class, and how it came about."""

    name: str
    """The class's."""
    probability: float
    """What the network gives the picture for the class, after the softmax over all classes."""


class ClassPicture(System):
    """A classifier on a device, ready to picture its classes."""

    default_model: ClassVar[str] = "squeezenet1_1"  # the built-in one with classes

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
    ) -> None:
        """Choose a classifier; see :class:`nstbatch.runtime.systems.system.System`.

        Raises:
            UsageError: The bundle has no classes.
        """
        super().__init__(model, device=device, precision=precision, threads=threads)
        if not self.engine.bundle.classes:
            raise UsageError(
                f"{self.engine.bundle.name} was exported without a classifier, so it knows no "
                "classes; squeezenet1_1 has one."
            )

    def __call__(
        self,
        name: str | int,
        options: ClassPictureOptions | None = None,
        *,
        progress: ProgressCallback | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> ClassPictureResult:
        """Picture a class.

        Args:
            name: Of the class, or an unambiguous part of it, or its index.
            options: How; the defaults if None.
            progress: Called after every step.
            stop: Asked before every step whether to end here.

        Raises:
            UsageError: No class, or more than one, has this name; says which ones are close.
            ImageError: The size is too small for the network.
        """
        started = time.perf_counter()
        options = options or ClassPictureOptions()
        index = self.find(name)
        layer = self.check(options)
        size = (options.size, options.size)
        spectrum = Spectrum(*size)
        objective = self._objective(layer, options)
        given = spectrum.constants()
        for term in objective.terms:
            if term.given:
                given[TARGET + term.name] = _chosen(index, layer.channels)
        first, windows = np.random.SeedSequence(options.seed).spawn(2)
        draw = spectrum.random_window(options.jitter, options.zoom, windows)
        optimizer = Adam(learning_rate=options.learning_rate)
        level = Level(*size, margin=0, steps=options.iterations)

        def open_descent(level: Level, coefficients: Array, state: State) -> Steppable:
            return self.engine.descent(
                objective,
                given,
                coefficients,
                optimizer,
                state,
                pooling=options.pooling,
                bounds=Bounds(),
                views=(SPECTRUM,),
                varying=draw,
            )

        with self.engine.picture():
            outcome = coarse_to_fine(
                [level],
                spectrum.first_coefficients(first),
                optimizer,
                open_descent,
                reporter(progress, objective, [level]),
                stop or (lambda: False),
            )
        image = from_nchw(spectrum.picture(outcome.images))
        return ClassPictureResult(
            name=self.engine.bundle.classes[index],
            image=image,
            probability=float(self.probabilities(image, options.pooling)[index]),
            losses=named_losses(objective, outcome.losses),
            steps=outcome.steps,
            seconds=time.perf_counter() - started,
            provider=self.engine.provider.device,
            precision=self.engine.provider.precision,
            reason=outcome.reason,
        )

    def check(self, options: ClassPictureOptions) -> Layer:
        """Return the layer of the scores; raise what every class would meet, a size too small."""
        layer = score_layer(self.engine.bundle)
        self.engine.bundle.graph_path("gradient", options.pooling)
        size = (options.size, options.size)
        self.engine.limits.check_side("picture", size, [layer.name], options.pooling)
        return layer

    def find(self, name: str | int) -> int:
        """The index of a class; see :func:`nstbatch.runtime.systems.class_names.find_class`."""
        return find_class(name, self.engine.bundle.classes)

    def _objective(self, layer: Layer, options: ClassPictureOptions) -> Objective:
        """The score of a class, its probability, and the total variation if it has any weight."""
        objective = score(layer.name) + likelihood(self.engine.bundle.layers[-1].name)
        if options.tv_weight > 0:
            objective += options.tv_weight * total_variation()
        return objective

    def probabilities(self, image: ImageLike, pooling: Pooling = "max") -> Array:
        """What the network gives a picture for each class, (classes,), their sum being 1."""
        (scores,) = self.engine.targets(
            content(self.engine.bundle.layers[-1].name).terms,
            to_nchw(as_picture(image).pixels),
            pooling,
        ).values()
        powers = np.exp(scores.ravel() - scores.max())
        return np.asarray(powers / powers.sum(), dtype=np.float32)


def score_layer(bundle: Bundle) -> Layer:
    """The first of the last layers that have a channel for each class.

    SqueezeNet has a ReLU and an average over its scores. Behind the ReLU, a class that the first
    noise has nothing of would have no gradient.

    Raises:
        BundleError: There is no such layer.
    """
    of_classes = takewhile(
        lambda layer: layer.channels == len(bundle.classes), reversed(bundle.layers)
    )
    layers = list(of_classes)
    if not layers:
        raise BundleError(
            f"{bundle.name} names {len(bundle.classes)} classes, and its last layer has "
            f"{bundle.layers[-1].channels} channels."
        )
    return layers[-1]


def _chosen(index: int, classes: int) -> Array:
    """(1, classes, 1): 1 for one of them."""
    chosen = np.zeros((1, classes, 1), np.float32)
    chosen[:, index] = 1
    return chosen
