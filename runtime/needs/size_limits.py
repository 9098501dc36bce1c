"""The smallest pictures that the layers of a network can work on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.checks import Pooling
from nstbatch.runtime.errors import ImageError

from .network_facts import smallest_sides


class SizeLimits:
    """The smallest picture side of each layer of one bundle."""

    def __init__(self, bundle: Bundle) -> None:
        """Take a bundle; its graphs are read when a limit is first needed."""
        self._bundle = bundle
        self._smallest: dict[Pooling, Mapping[str, int]] = {}

    def smallest_side(self, layer: str, pooling: Pooling) -> int:
        """Return the smallest picture side, in pixels, for which a layer gives a useful value.

        This is at least the layer's stride: on a smaller picture a padded network still gives a
        value, but it depends on little more than the padding.

        Raises:
            UnknownNameError: The bundle lacks the layer.
        """
        stride = self._bundle.layer(layer).stride or 1
        if pooling not in self._smallest:
            self._smallest[pooling] = smallest_sides(self._bundle, pooling)
        return max(stride, self._smallest[pooling][layer])

    def largest_need(self, layers: Iterable[str], pooling: Pooling) -> tuple[int, str]:
        """Return the smallest picture side that all layers accept, and the layer that requires it.

        Raises:
            UnknownNameError: The bundle lacks a layer.
        """
        return max((self.smallest_side(layer, pooling), layer) for layer in layers)

    def check_side(
        self, what: str, size: tuple[int, ...], layers: Iterable[str], pooling: Pooling
    ) -> None:
        """Raise an ImageError if a picture is too small for a layer.

        Args:
            what: Name of the picture in the message, after "The".
            size: Its height and width; further numbers are ignored.
            layers: The layers in use.
            pooling: Pooling variant of the network.
        """
        height, width = size[:2]
        smallest, layer = self.largest_need(layers, pooling)
        if min(height, width) < smallest:
            raise ImageError(
                f"The {what} is {width}x{height} pixels; "
                f"{layer} needs at least {smallest} on each side."
            )

    def check_picture(
        self,
        photo: tuple[int, ...],
        made: tuple[int, ...],
        layers: Collection[str],
        pooling: Pooling,
    ) -> None:
        """Raise an ImageError if a photo, or the picture that it becomes, is too small for a layer.

        Args:
            photo: Height and width of the photo; further numbers are ignored.
            made: Height and width of the picture at the size asked for.
            layers: The layers in use.
            pooling: Pooling variant of the network.
        """
        self.check_side("picture", photo, layers, pooling)
        self.check_side("picture at the size asked for", made, layers, pooling)
