"""A network's targets and steps: of whole pictures, or tile by tile."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from nstbatch.runtime.arrays import Array, Shapes
from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.checks import Padding, Pooling, whole
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.names import IMAGE
from nstbatch.runtime.objectives.terms import Term
from nstbatch.runtime.objectives.tiled_losses import places_of
from nstbatch.runtime.objectives.views import View

from .network_sessions import NetworkSessions
from .session import Session

if TYPE_CHECKING:
    from .tiled_network import TiledNetwork


class Network:
    """Chooses between whole pictures and tiles."""

    def __init__(
        self, bundle: Bundle, sessions: NetworkSessions, provider: Provider, tile_size: int | None
    ) -> None:
        """Take a network.

        Args:
            bundle: The network.
            sessions: Its sessions.
            provider: The device.
            tile_size: Side in pixels of the tiles of larger pictures; None for whole pictures only.

        Raises:
            UsageError: The tile_size is below 1, or the device has no tiles.
        """
        self._sessions, self.tile_size = sessions, tile_size
        self._tiled: TiledNetwork | None = None
        if tile_size is None:
            return
        whole("tile_size", tile_size, 1)
        if provider.memory != "cpu":
            raise UsageError(f"Tiles are computed on processors only, not on {provider.device}.")
        from .tiled_network import TiledNetwork  # imports onnx, which whole pictures can do without

        self._tiled = TiledNetwork(bundle, sessions, tile_size)

    def window(
        self, layers: Collection[str], pooling: Pooling, size: tuple[int, int]
    ) -> tuple[int, int] | None:
        """Return the height and width of the windows of pictures of a size; None without tiles."""
        places = dict.fromkeys(layers, 0)
        if self._tiled is None or not self._tiled.applies(places, pooling, size):
            return None
        return self._tiled.tiling(places, pooling, size).size

    def targets(
        self,
        provider: Provider,
        terms: tuple[Term, ...],
        pooling: Pooling,
        inputs: Mapping[str, Array],
        padding: Padding = "zeros",
    ) -> Mapping[str, Array]:
        """Compute the targets of terms.

        Args:
            provider: Runs the steps.
            terms: Terms with a target.
            pooling: Pooling variant of the network.
            inputs: The reference pictures, (N, 3, H, W), and the guides of guided terms, by name.
            padding: Padding of the network's first convolution.

        Raises:
            UsageError: The pictures need tiles, and the padding is not of zeros.
        """
        shapes = {name: values.shape for name, values in inputs.items()}
        if tiled := self._tiles(terms, pooling, shapes, padding):
            return tiled.targets(provider, terms, pooling, inputs)
        image = shapes.pop(IMAGE)
        session = self._sessions.targets(provider, terms, pooling, image, shapes, padding)
        return session.run(inputs)

    def step(
        self,
        provider: Provider,
        terms: tuple[Term, ...],
        views: tuple[View, ...],
        pooling: Pooling,
        shapes: Shapes,
        padding: Padding = "zeros",
    ) -> Session:
        """Open a step; see :meth:`.NetworkSessions.step`.

        Raises:
            UsageError: A loss or a layer cannot be computed in tiles, or the padding is not of
                zeros.
        """
        if self._tiled is not None:
            step = self._tiled.step(provider, terms, views, pooling, shapes, padding)
            if step is not None:
                return step
        return self._sessions.step(provider, terms, views, pooling, shapes, padding)

    def _tiles(
        self, terms: tuple[Term, ...], pooling: Pooling, shapes: Shapes, padding: Padding
    ) -> TiledNetwork | None:
        """The network in tiles, if pictures of these shapes have more than one."""
        *_, height, width = shapes[IMAGE]
        if not self._tiled or not self._tiled.applies(places_of(terms), pooling, (height, width)):
            return None
        from .tiled_network import check_padding

        check_padding(padding)
        return self._tiled
