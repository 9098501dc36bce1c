"""Visualisation of a network's filters with a deconvnet (Zeiler & Fergus 2014).

It finds the strongest activations of every filter over any number of images, and projects each of
them alone back to the pixels that caused it::

    deconvnet = Deconvnet("alexnet")
    found = deconvnet.search(paths, ["relu3"])["relu3"]
    projections = deconvnet.project(found, found.filters[42].maxima)
    projections[0].picture  # (h, w, 3), the part of the patch that the filter responded to
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.checks import options_or_default
from nstbatch.runtime.engine.engine import Engine
from nstbatch.runtime.engine.opened import Opened
from nstbatch.runtime.errors import ImageError, UsageError
from nstbatch.runtime.graphs.link import link_targets
from nstbatch.runtime.graphs.receptive_field import Box, ReceptiveField, receptive_field
from nstbatch.runtime.graphs.specialise import specialise
from nstbatch.runtime.names import IMAGE, TARGET
from nstbatch.runtime.objectives.terms import projection
from nstbatch.runtime.pictures.images import ImageLike, as_picture
from nstbatch.runtime.pictures.sizes import resize, to_nchw

from .deconvnet_options import STRONGEST, DeconvnetOptions
from .drawing import drawn
from .maxima import FilterMaxima, Maximum, StrongestActivations

T = TypeVar("T")

# Images per batch: enough to keep the threads busy, and no more than 100 MB of activations of
# VGG16 at once. A guess.
BATCH = 8

# The latest images stay in memory, since filters of one layer often respond to the same ones.
KEPT_IMAGES = 64


@dataclass(frozen=True)
class LayerMaxima:
    """The strongest activations of a layer's filters in a set of images."""

    layer: str
    filters: tuple[FilterMaxima, ...]
    """All filters of the layer, by number."""
    images: tuple[Path, ...]
    """Images that could be read; a maximum refers to its index here."""
    unreadable: Mapping[Path, str]
    """The other images, and the reason."""
    in_memory: Mapping[Path, ImageLike] = field(default_factory=dict, compare=False)
    """Images that are not files, by the names that stand for them in the two above."""


@dataclass(frozen=True, eq=False)
class Projection:
    """One activation, projected back to the image, and the part of the image that it sees."""

    maximum: Maximum
    box: Box
    """Box in the prepared image; see :func:`centre_square`."""
    projected: Array
    """(h, w, 3), the box's part of the projection; signed, in the units of the gradient."""
    patch: Array
    """(h, w, 3), the box's part of the image, RGB in [0, 1]."""
    whole: tuple[int, int]
    """Height and width of the layer's boxes that do not end at an edge of the image."""

    @property
    def picture(self) -> Array:
        """The projection as a picture, (h, w, 3), RGB in [0, 1]."""
        return drawn(self.projected)


class Deconvnet(Opened):
    """A bundle on a device, ready to visualise its filters."""

    def __init__(
        self,
        model: str | os.PathLike[str] = "vgg16",
        options: DeconvnetOptions | None = None,
        *,
        device: str = "auto",
        precision: str = "fp32",
        threads: int | None = None,
    ) -> None:
        """Choose a bundle and a device; see :class:`nstbatch.runtime.engine.engine.Engine`.

        Args:
            model: Name of a bundle, or its folder; exported with max pooling.
            options: The options; the defaults if None.
            device: The device.
            precision: Precision of the convolutions of the projection; activations are always
                measured in float32. A lower precision flips switches between close values.
            threads: Number of threads; None for all cores of this process.
        """
        self.engine = Engine(model, device=device, precision=precision, threads=threads)
        self.options = options_or_default(options, DeconvnetOptions)
        self._fields: dict[str, ReceptiveField | None] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._prepared = lru_cache(KEPT_IMAGES)(self._prepare)

    def check(self, layers: Iterable[str]) -> None:
        """Check that layers can be visualised at the chosen size.

        Raises:
            UnknownNameError: The bundle lacks a layer, or max pooling.
            UsageError: A layer is too deep for the size.
        """
        self.engine.bundle.graph_path(self.options.rule)
        for layer in layers:
            smallest = self.engine.limits.smallest_side(layer, "max")
            if self.options.size < smallest:
                raise UsageError(
                    f"{layer} is too deep for images of {self.options.size} pixels a side; "
                    f"it needs at least {smallest}."
                )

    def search(
        self,
        images: Sequence[ImageLike],
        layers: Sequence[str],
        *,
        progress: Callable[[int], None] | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> dict[str, LayerMaxima]:
        """Run all images, and find the strongest activations of every filter of the layers.

        Args:
            images: At least nine images. Unreadable ones are left out.
            layers: Names of layers.
            progress: Called after every batch with the number of images done.
            stop: Called before every batch; True gives up.

        Returns:
            The maxima, by the names of the layers.

        Raises:
            UnknownNameError, UsageError: See :meth:`check`; or fewer than nine images.
            ImageError: Fewer than nine of the images can be read.
            KeyboardInterrupt: ``stop`` returned True.
        """
        check_enough(len(images))
        self.check(layers)
        strongest = {
            layer: StrongestActivations(self.engine.bundle.layer(layer).channels)
            for layer in layers
        }
        _, in_memory = named(images)
        unreadable: dict[Path, str] = {}
        readable: list[Path] = []
        for activations in self.activations(images, layers, readable, unreadable, stop):
            for layer, activation in activations.items():
                strongest[layer].update(activation)
            if progress is not None:
                progress(len(readable) + len(unreadable))
        if len(readable) < STRONGEST:
            reasons = "".join(f"\n{path}: {reason}" for path, reason in unreadable.items())
            raise ImageError(_too_few(f"{len(readable)} of {len(images)} can be read") + reasons)
        return {
            layer: LayerMaxima(layer, kept.found(), tuple(readable), unreadable, in_memory)
            for layer, kept in strongest.items()
        }

    def activations(
        self,
        images: Sequence[ImageLike],
        layers: Sequence[str],
        readable: list[Path],
        unreadable: dict[Path, str],
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[dict[str, Array]]:
        """Yield the layers' activations, (N, C, ...) each, of one batch of images after another.

        Args:
            images: Paths, or images in memory; see :func:`named`.
            layers: Names of layers.
            readable: Filled with the images of each batch.
            unreadable: Filled with the images that are left out, and the reason.
            stop: Called before every batch; True raises a KeyboardInterrupt.
        """
        terms = tuple(projection(layer) for layer in layers)
        names, in_memory = named(images)
        for paths in _batches(names, BATCH):
            if stop():
                raise KeyboardInterrupt
            prepared = []
            for path in paths:
                try:
                    prepared.append(self._image(path, in_memory))
                except ImageError as error:
                    unreadable[path] = str(error)
                else:
                    readable.append(path)
            if prepared:
                found = self.engine.targets(terms, np.stack(prepared), "max")
                yield {str(term.layer): found[TARGET + term.name] for term in terms}

    def project(self, found: LayerMaxima, maxima: Sequence[Maximum]) -> list[Projection]:
        """Project activations back to the pixels, each alone.

        Only the part of an image that the activation sees runs through the network; the result is
        the same as for the whole image.

        Args:
            found: The result of :meth:`search` for one layer.
            maxima: Any of its maxima, of one filter or several.

        Raises:
            ImageError: An image can no longer be read.
        """
        return [
            projected
            for batch in _batches(maxima, STRONGEST)
            for projected in self._project_batch(found, batch)
        ]

    def _project_batch(self, found: LayerMaxima, maxima: Sequence[Maximum]) -> Iterator[Projection]:
        layer = found.layer
        field, size = self._field(layer), self.options.size
        height, width = (size, size) if field is None else field.enough(size)
        corners = [(0, 0) if field is None else field.corner(m.row, m.column, size) for m in maxima]
        # Always the same number: a filter with fewer maxima then needs no session of its own.
        parts = np.zeros((STRONGEST, 3, height, width), np.float32)
        for part, maximum, (top, left) in zip(parts, maxima, corners, strict=False):
            picture = self._image(found.images[maximum.image], found.in_memory)
            part[:] = picture[:, top : top + height, left : left + width]
        cotangents = self._cotangents(layer, maxima, corners, parts.shape)
        projected = self.engine.project(self.options.rule, layer, cotangents, parts)
        for index, (maximum, (top, left)) in enumerate(zip(maxima, corners, strict=True)):
            box = self.box(layer, maximum)
            seen = (
                slice(None),
                slice(box.top - top, box.bottom - top),
                slice(box.left - left, box.right - left),
            )
            yield Projection(
                maximum,
                box,
                _from_chw(projected[index][seen]),
                _from_chw(parts[index][seen]),
                (size, size) if field is None else field.whole(size),
            )

    def _cotangents(
        self,
        layer: str,
        maxima: Sequence[Maximum],
        corners: Sequence[tuple[int, int]],
        shape: tuple[int, ...],
    ) -> Array:
        """Return zeros, except each maximum's value at its position in its part of the image."""
        cotangents = np.zeros(self._activation_shape(layer, shape), np.float32)
        field = self._field(layer)
        for index, (maximum, (top, left)) in enumerate(zip(maxima, corners, strict=True)):
            position = [maximum.row, maximum.column][: cotangents.ndim - 2]
            if field is not None:
                position[0] -= top // field.rows.stride
                position[1] -= left // field.columns.stride
            cotangents[(index, maximum.filter, *position)] = maximum.value
        return cotangents

    def _activation_shape(self, layer: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        if layer not in self._shapes:
            graph = link_targets(self.engine.bundle.read_graph("forward"), (projection(layer),))
            (output,) = specialise(graph, {IMAGE: shape}).graph.output
            self._shapes[layer] = tuple(d.dim_value for d in output.type.tensor_type.shape.dim)
        return self._shapes[layer]

    def box(self, layer: str, maximum: Maximum) -> Box:
        """Return the box of the prepared image that an activation sees."""
        field, size = self._field(layer), self.options.size
        if field is None:
            return Box(0, 0, size, size)
        return field.box(maximum.row, maximum.column, size)

    def _field(self, layer: str) -> ReceptiveField | None:
        if layer not in self._fields:
            graph = self.engine.bundle.read_graph("forward")
            self._fields[layer] = receptive_field(graph, layer)
        return self._fields[layer]

    def _image(self, name: Path, in_memory: Mapping[Path, ImageLike]) -> Array:
        return self._prepare(in_memory[name]) if name in in_memory else self._prepared(name)

    def _prepare(self, image: ImageLike) -> Array:
        """Read an image as its centre square, (3, size, size)."""
        picture = as_picture(image, self.options.size)
        square: Array = to_nchw(centre_square(picture.pixels, self.options.size))[0]
        return square


def named(images: Sequence[ImageLike]) -> tuple[list[Path], dict[Path, ImageLike]]:
    """Return the images' names, path or "image 3", and those in memory by their names."""
    names: list[Path] = []
    in_memory: dict[Path, ImageLike] = {}
    for index, image in enumerate(images):
        if isinstance(image, str | os.PathLike):
            names.append(Path(image))
        else:
            names.append(Path(f"image {index}"))
            in_memory[names[-1]] = image
    return names, in_memory


def centre_square(pixels: Array, size: int) -> Array:
    """Crop (H, W, 3) to its largest centre square, and resize it to ``size`` pixels a side.

    Zeiler & Fergus 2014, section 3, and torchvision's networks prepare images this way, but resize
    the short side before they crop. To crop first avoids enlarging a long strip.
    """
    height, width, _ = pixels.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return resize(pixels[top : top + side, left : left + side], (size, size))


def check_enough(images: int) -> None:
    """Raise a UsageError for fewer images than the maxima that are shown of a filter."""
    if images < STRONGEST:
        raise UsageError(_too_few(f"there {'is' if images == 1 else 'are'} {images}"))


def _too_few(found: str) -> str:
    return f"At least {STRONGEST} photos are needed, one for each activation shown; {found}."


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _from_chw(image: Array) -> Array:
    return np.ascontiguousarray(image.transpose(1, 2, 0))
