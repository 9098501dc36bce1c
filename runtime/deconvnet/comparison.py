"""Two networks on the same images: their first filters, their activations, their dead filters.

Zeiler & Fergus (2014, section 4.1) compared first layers this way, and changed filters of 11x11 at
stride 4, many of them dead, to 7x7 at stride 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.pictures.contact_sheet import LabelledPicture, contact_sheet

from .activation_histogram import Histogram, histogram_pictures
from .deconvnet import Deconvnet
from .drawing import drawn
from .first_layer import FirstLayer, first_layer

RED = (0.85, 0.1, 0.1)
CELL = 420
LEAST_SIDE, FRAME = 40, 2  # pixels of a filter in the mosaic, and of its frame


@dataclass(frozen=True, eq=False)
class NetworkStatistics:
    """Measurements of one network on the images."""

    model: str
    """Name of the bundle's folder."""
    first: FirstLayer
    layer: str
    """Layer whose activations were measured."""
    filters: int
    dead: tuple[int, ...]
    """Filters of the layer that fire in no image."""
    histogram: Histogram
    strongest: float
    images: int

    @property
    def dead_share(self) -> float:
        """Share of dead filters, from 0 to 1."""
        return len(self.dead) / self.filters

    def record(self) -> dict[str, object]:
        """Return the measurements as JSON."""
        return {
            "model": self.model,
            "first_filters": list(self.first.filters.shape),
            "stride": self.first.stride,
            "layer": self.layer,
            "images": self.images,
            "filters": self.filters,
            "dead": list(self.dead),
            "dead_share": self.dead_share,
            "positive_share": self.histogram.positive_share,
            "strongest": self.strongest,
            "histogram": {
                "edges": self.histogram.edges.tolist(),
                "counts": self.histogram.counts.tolist(),
                "not_positive": self.histogram.not_positive,
            },
        }


def measure(
    deconvnet: Deconvnet,
    layer: str | None,
    images: Sequence[Path],
    unreadable: dict[Path, str],
    progress: Callable[[int], None] = lambda done: None,
    stop: Callable[[], bool] = lambda: False,
) -> NetworkStatistics:
    """Run all images through one network.

    Args:
        deconvnet: The network.
        layer: Layer to measure; None for the first one after a ReLU.
        images: Paths.
        unreadable: Filled with the images that cannot be read, and the reason.
        progress: Called after every batch with the number of images done.
        stop: Called before every batch; True raises a KeyboardInterrupt.

    Raises:
        UnknownNameError, UsageError: See :meth:`.deconvnet.Deconvnet.check`.
        BundleError: The network does not begin with a convolution.
        ImageError: No image can be read.
    """
    bundle = deconvnet.engine.bundle
    first = first_layer(bundle)
    layer = layer or first.layer
    deconvnet.check([layer])
    histogram, readable = Histogram(), list[Path]()
    strongest = np.full(bundle.layer(layer).channels, -np.inf, np.float32)
    for activations in deconvnet.activations(images, [layer], readable, unreadable, stop):
        activation = activations[layer]
        histogram.update(activation)
        others = tuple(axis for axis in range(activation.ndim) if axis != 1)
        strongest = np.maximum(strongest, activation.max(axis=others))
        progress(len(readable) + len(unreadable))
    if not readable:
        reasons = "".join(f"\n{path}: {reason}" for path, reason in unreadable.items())
        raise ImageError(f"None of the images can be read.{reasons}")
    dead = tuple(int(number) for number in np.flatnonzero(strongest <= 0))
    return NetworkStatistics(
        bundle.path.name,
        first,
        layer,
        len(strongest),
        dead,
        histogram,
        float(strongest.max()),
        len(readable),
    )


def comparison_sheet(networks: Sequence[NetworkStatistics]) -> Array:
    """Draw one network per row: its filters, dead ones framed in red, and its activations.

    Returns:
        (H, W, 3), RGB in [0, 1].
    """
    histograms = histogram_pictures([network.histogram for network in networks])
    return contact_sheet(
        [
            [
                LabelledPicture(filter_mosaic(network), _of_filters(network)),
                LabelledPicture(histogram, _of_activations(network)),
            ]
            for network, histogram in zip(networks, histograms, strict=True)
        ],
        title=" against ".join(network.model for network in networks),
        row_headings=[network.model for network in networks],
        column_headings=["First filters", "Positive activations, by their size"],
        cell_size=CELL,
    )


def filter_mosaic(network: NetworkStatistics) -> Array:
    """Draw the filters of the first layer in a square; dead ones framed in red.

    Dead filters are known only if the measured layer is the first one.
    """
    count, _, height, width = network.first.filters.shape
    enlarged = max(1, LEAST_SIDE // height)
    columns = math.ceil(math.sqrt(count))
    height, width = height * enlarged + FRAME, width * enlarged + FRAME
    shape = (math.ceil(count / columns) * height + FRAME, columns * width + FRAME, 3)
    mosaic = np.ones(shape, np.float32)
    dead = set(network.dead) if network.layer == network.first.layer else set()
    for number in [*(set(range(count)) - dead), *dead]:  # dead ones last: neighbours share frames
        top, left = number // columns * height, number % columns * width
        if number in dead:
            mosaic[top : top + height + FRAME, left : left + width + FRAME] = RED
        picture = drawn(network.first.filters[number].transpose(1, 2, 0))
        picture = picture.repeat(enlarged, 0).repeat(enlarged, 1)
        mosaic[top + FRAME : top + height, left + FRAME : left + width] = picture
    return mosaic


def _of_filters(network: NetworkStatistics) -> str:
    count, _, height, width = network.first.filters.shape
    return f"{count} filters of {height}x{width}, stride {network.first.stride}"


def _of_activations(network: NetworkStatistics) -> str:
    return (
        f"{network.layer}, {network.images} images: {network.histogram.positive_share:.1%} "
        f"positive, at most {network.strongest:.4g}\n"
        f"{len(network.dead)} of {network.filters} filters dead ({network.dead_share:.1%})"
    )
