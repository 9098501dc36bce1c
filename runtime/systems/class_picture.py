"""Pictures of classes: a classifier's idea of a banana, made from noise.

The class's score is raised before the softmax, as in Simonyan, Vedaldi & Zisserman 2014: a
probability alone also rises when the scores of the others fall, and then there is little to see. It
counts beside the score, to keep other classes from rising higher. The result looks like a picture
thanks to its prior, see :mod:`.class_priors`. ::

    picture = ClassPicture("squeezenet1_1", device="auto")
    picture("banana").image  # (H, W, 3) float32, RGB in [0, 1]
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from typing import ClassVar

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.bundles.bundle import Bundle, Layer
from nstbatch.runtime.checks import Pooling, options_or_default
from nstbatch.runtime.descent.loop import Bounds
from nstbatch.runtime.descent.optimizers import Adam
from nstbatch.runtime.descent.progress import ProgressCallback
from nstbatch.runtime.descent.pyramid import Level
from nstbatch.runtime.errors import BundleError, UsageError
from nstbatch.runtime.names import TARGET
from nstbatch.runtime.objectives.dream_terms import likelihood, score
from nstbatch.runtime.objectives.terms import Objective, content, total_variation
from nstbatch.runtime.pictures.images import ImageLike, as_picture
from nstbatch.runtime.pictures.sizes import from_nchw, to_nchw

from .class_names import find_class
from .class_priors import canvas, side_seen
from .dream_options import LEARNING_RATES, ClassPictureOptions
from .streams import Streaming
from .system import Result, Run, System
from .transparency import Transparency


@dataclass(frozen=True, kw_only=True)
class ClassPictureResult(Result):
    """A picture of a class, and how it was made."""

    name: str
    """Name of the class."""
    probability: float
    """The class's probability of this picture, after the softmax over all classes."""


class ClassPicture(System, Streaming["str | int", ClassPictureOptions, ClassPictureResult]):
    """A classifier on a device, ready to make pictures of its classes."""

    default_model: ClassVar[str] = "squeezenet1_1"  # the built-in one with classes

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        tile_size: int | None = None,
    ) -> None:
        """Choose a classifier; see :class:`nstbatch.runtime.systems.system.System`.

        Classes see the whole picture: one that is larger than a ``tile_size`` cannot be made.

        Raises:
            UsageError: The bundle has no classes.
        """
        super().__init__(
            model, device=device, precision=precision, threads=threads, tile_size=tile_size
        )
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
        """Make a picture of a class.

        Args:
            name: Name of the class, an unambiguous part of it, or its index.
            options: The options; the defaults if None.
            progress: Called after every step.
            stop: Called before every step; True ends the run.

        Raises:
            UsageError: No class, or more than one, has this name; lists close ones.
            ImageError: The size is too small for the network.
        """
        started = time.perf_counter()
        options = options_or_default(options, ClassPictureOptions)
        index = self.find(name)
        seen = Transparency()
        plan = partial(self._plan, index, options, seen)
        result = self._carry_out(plan, _of_size(progress, options.size), stop)
        probability = float(self.probabilities(result.image, options.pooling)[index])
        made = {**vars(result), "alpha": seen.alpha, "seconds": time.perf_counter() - started}
        return ClassPictureResult(
            **made, name=self.engine.bundle.classes[index], probability=probability
        )

    def _plan(self, index: int, options: ClassPictureOptions, seen: Transparency) -> Run:
        """Describe the run for a class; see :meth:`__call__`."""
        layer = self.check(options)
        drawn_on = canvas(options)
        objective = self._objective(layer, options, drawn_on.crops)
        given = dict(drawn_on.constants)
        for term in objective.terms:
            if term.given:
                given[TARGET + term.name] = _chosen(index, layer.channels)
        height, width = drawn_on.first.shape[2:]
        return Run(
            objective=objective,
            levels=[Level(height, width, margin=0, steps=options.iterations)],
            images=drawn_on.first,
            optimizer=Adam(options.learning_rate or LEARNING_RATES[options.prior]),
            pooling=options.pooling,
            targets=lambda level, begun: given,
            bounds=Bounds(),
            views=lambda level: drawn_on.views,
            varying=drawn_on.varying,
            watch=seen.add,
            finish=lambda stored: from_nchw(drawn_on.picture(stored)),
        )

    def check(self, options: ClassPictureOptions) -> Layer:
        """Return the layer of the scores; raise the errors of any class, like a size too small."""
        layer = score_layer(self.engine.bundle)
        self.engine.bundle.graph_path("gradient", options.pooling)
        side = side_seen(options)
        seen = "picture" if side == options.size else "crop"
        self.engine.limits.check_side(seen, (side, side), [layer.name], options.pooling)
        return layer

    def find(self, name: str | int) -> int:
        """Return the index of a class; see :func:`.class_names.find_class`."""
        return find_class(name, self.engine.bundle.classes)

    def _objective(self, layer: Layer, options: ClassPictureOptions, crops: int) -> Objective:
        """Return score and probability of a class, the mean of all crops.

        With the prior "spectrum" also total variation, if it has a weight.
        """
        last = self.engine.bundle.layers[-1]
        objective = (1 / crops) * (score(layer.name) + likelihood(last.name))
        if options.prior == "spectrum" and options.tv_weight > 0:
            objective += options.tv_weight * total_variation()
        return objective

    def probabilities(self, image: ImageLike, pooling: Pooling = "max") -> Array:
        """Return a picture's probability of each class, (classes,); their sum is 1."""
        (scores,) = self.engine.targets(
            content(self.engine.bundle.layers[-1].name).terms,
            to_nchw(as_picture(image).pixels),
            pooling,
        ).values()
        powers = np.exp(scores.ravel() - scores.max())
        return np.asarray(powers / powers.sum(), dtype=np.float32)


def score_layer(bundle: Bundle) -> Layer:
    """Return the first of the last layers that have a channel for each class.

    SqueezeNet has a ReLU and an average over its scores. After the ReLU, a class whose score is
    negative on the first noise would have no gradient.

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


def _of_size(progress: ProgressCallback | None, side: int) -> ProgressCallback | None:
    """Let a callback report the size of the picture, which may be stored in another shape."""
    if progress is None:
        return None
    report = progress
    return lambda done: report(replace(done, height=side, width=side))


def _chosen(index: int, classes: int) -> Array:
    """Return a (1, classes, 1) array: 1 for one class, 0 for the others."""
    chosen = np.zeros((1, classes, 1), np.float32)
    chosen[:, index] = 1
    return chosen
