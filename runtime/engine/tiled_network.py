"""A network whose steps and targets are computed tile by tile, for pictures larger than memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias, TypeVar

import numpy as np

from nstbatch.runtime import scratch
from nstbatch.runtime.arrays import Array, Shape, Shapes
from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.checks import Padding, Pooling
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.graphs.receptive_field import ReceptiveField, Window
from nstbatch.runtime.names import ELEMENTS, IMAGE, SEEN, TARGET, WEIGHT
from nstbatch.runtime.needs.network_facts import layer_sides, receptive_fields
from nstbatch.runtime.needs.tile_choice import SMALLEST_TILE
from nstbatch.runtime.objectives.terms import Term
from nstbatch.runtime.objectives.tiled_losses import (
    elements_of,
    layer_of,
    places_of,
    tiled_loss,
)
from nstbatch.runtime.objectives.views import View
from nstbatch.runtime.tiles.inputs import TileInputs, added_up
from nstbatch.runtime.tiles.plan import Tiling, plan_tiles

from .network_sessions import NetworkSessions
from .session import Session
from .tiled_sessions import TiledNetworkSessions
from .tiled_step import TiledStep, TileParts
from .viewed_step import ViewedStep

# A total variation compares a pixel with its neighbours.
IMAGE_FIELD = ReceptiveField(Window(1, -1, 1), Window(1, -1, 1))

Value = TypeVar("Value")
Places: TypeAlias = Mapping[str, int]
"""Numbers of places of layers, by the layers' names."""


class TiledNetwork:
    """Opens the steps and computes the targets of pictures that are larger than a tile."""

    def __init__(self, bundle: Bundle, sessions: NetworkSessions, side: int) -> None:
        """Take a network.

        Args:
            bundle: The network.
            sessions: Its sessions.
            side: Side of a tile in pixels, without what its positions see beside it.
        """
        self._bundle, self._sessions, self._side = bundle, sessions, side
        self._tiled = TiledNetworkSessions(bundle, sessions)

    def applies(self, places: Places, pooling: Pooling, size: tuple[int, int]) -> bool:
        """True if pictures of a height and width are divided into more than one tile.

        Args:
            places: See :meth:`tiling`.
            pooling: Pooling variant of the network.
            size: Height and width, in pixels.
        """
        return max(size) > self._side and len(self.tiling(places, pooling, size)) > 1

    def tiling(self, places: Places, pooling: Pooling, size: tuple[int, int]) -> Tiling:
        """Return the tiles of pictures of a height and width.

        Args:
            places: The places that a loss looks beyond each place of a layer, by the layers in use.
            pooling: Pooling variant of the network.
            size: Height and width, in pixels.

        Raises:
            UsageError: A layer sees the whole picture.
        """
        fields = {IMAGE: IMAGE_FIELD}
        found = receptive_fields(self._bundle, pooling)
        for layer, beyond in places.items():
            numbers = found[layer]
            if numbers is None:
                raise UsageError(f"{layer} sees the whole picture, so it cannot be cut into tiles.")
            rows, columns = Window(*numbers[:3]), Window(*numbers[3:])
            fields[layer] = ReceptiveField(_wider(rows, beyond), _wider(columns, beyond))
        return plan_tiles(size, self._side, fields)

    def step(
        self,
        provider: Provider,
        terms: tuple[Term, ...],
        views: tuple[View, ...],
        pooling: Pooling,
        shapes: Shapes,
        padding: Padding = "zeros",
    ) -> Session | None:
        """Return a step, see :meth:`.NetworkSessions.step`; None if the pictures need no tiles.

        Views map whole pictures, so they stay outside the tiles.

        Raises:
            UsageError: A loss or a layer cannot be computed in tiles, or the padding is not of
                zeros.
        """
        seen, names = shapes, (IMAGE, *(name for view in views for name in view.graph_inputs))
        if views:
            of_views = self._tiled.views(provider, views, {name: shapes[name] for name in names})
            seen = {**shapes, IMAGE: of_views.see.output_shapes[SEEN]}
        *_, height, width = seen[IMAGE]
        if not self.applies(places_of(terms), pooling, (height, width)):
            return None
        check_padding(padding)
        step = self._step(provider, terms, pooling, seen)
        return ViewedStep(step, of_views, names) if views else step

    def _step(
        self, provider: Provider, terms: tuple[Term, ...], pooling: Pooling, shapes: Shapes
    ) -> TiledStep:
        count, _, height, width = shapes[IMAGE]
        elements = self._elements(terms, pooling, (height, width))
        between = _shapes(elements)
        for term in terms:
            between[WEIGHT + term.name] = (count,)
            if term.has_target and not tiled_loss(term).is_local:
                between[TARGET + term.name] = shapes[TARGET + term.name]

        def parts() -> TileParts:
            tiling, inputs = self._cut(terms, pooling, (height, width))
            taken = inputs.shapes(shapes) | inputs.mask_shapes()
            sessions = self._tiled.tiles(provider, terms, pooling, taken, between)
            return TileParts(sessions, tiling, inputs)

        def smaller() -> TileParts:
            if self._side <= SMALLEST_TILE:
                raise MemoryError(f"There is not enough memory for tiles of {self._side} pixels.")
            self._side //= 2
            self._sessions.clear()
            return parts()

        return TiledStep(parts(), terms, elements, shapes[IMAGE], smaller)

    def targets(
        self,
        provider: Provider,
        terms: tuple[Term, ...],
        pooling: Pooling,
        whole: Mapping[str, Array],
    ) -> dict[str, Array]:
        """Compute the targets of terms tile by tile; see :meth:`.engine.Engine.targets`.

        Args:
            provider: Runs the steps.
            terms: Terms with a target.
            pooling: Pooling variant of the network.
            whole: The reference pictures, (N, 3, H, W), and the guides of guided terms, by name.
        """
        small = tuple(term for term in terms if tiled_loss(term).is_small)
        local = tuple(term for term in terms if tiled_loss(term).is_local and term not in small)
        summed = tuple(term for term in terms if term not in (*small, *local))
        return {
            **(self._small_targets(provider, small, pooling, whole) if small else {}),
            **(self._local_targets(provider, local, pooling, whole) if local else {}),
            **(self._summed_targets(provider, summed, pooling, whole) if summed else {}),
        }

    def _small_targets(
        self,
        provider: Provider,
        terms: tuple[Term, ...],
        pooling: Pooling,
        whole: Mapping[str, Array],
    ) -> dict[str, Array]:
        """Compute targets from whole pictures, which are small."""
        image, guides = _parted(_shapes(whole))
        return self._sessions.targets(provider, terms, pooling, image, guides).run(whole)

    def _local_targets(
        self,
        provider: Provider,
        terms: tuple[Term, ...],
        pooling: Pooling,
        whole: Mapping[str, Array],
    ) -> dict[str, Array]:
        """Put targets with positions together from those of the tiles."""
        _, _, height, width = whole[IMAGE].shape
        tiling, inputs = self._cut(terms, pooling, (height, width))
        image, guides = _parted(inputs.shapes(_shapes(whole)))
        session = self._sessions.targets(provider, terms, pooling, image, guides)
        sides = self._sides(pooling, (height, width))
        targets = {
            name: scratch.zeros((*shape[:2], *sides[layer_of(term)]))
            for term in terms
            for name, shape in [_target_of(term, session.output_shapes)]
        }
        for tile in tiling:
            found = session.run(inputs.cut(tile, whole))
            for term in terms:
                name, values = _target_of(term, found)
                strides, positions = tiling.strides[layer_of(term)], values.shape[2:]
                counting = (..., *tile.counting(strides, positions))
                targets[name][(..., *tile.place(strides, positions))][counting] = values[counting]
        return targets

    def _summed_targets(
        self,
        provider: Provider,
        terms: tuple[Term, ...],
        pooling: Pooling,
        whole: Mapping[str, Array],
    ) -> dict[str, Array]:
        """Compute targets from sums over a picture, such as Gram matrices."""
        _, _, height, width = whole[IMAGE].shape
        tiling, inputs = self._cut(terms, pooling, (height, width))
        taken = inputs.shapes(_shapes(whole)) | inputs.mask_shapes()
        session = self._tiled.tile_sums(provider.for_targets, terms, pooling, taken)
        totals = added_up(
            session.run(inputs.cut(tile, whole) | inputs.masks(tile)) for tile in tiling
        )
        given = {name: values.astype(np.float32) for name, values in totals.items()}
        given |= self._elements(terms, pooling, (height, width))
        return self._tiled.sum_targets(provider, terms, _shapes(given)).run(given)

    def _cut(
        self, terms: Sequence[Term], pooling: Pooling, size: tuple[int, int]
    ) -> tuple[Tiling, TileInputs]:
        """The tiles of pictures of a height and width, and what cuts the terms' inputs to them."""
        tiling = self.tiling(places_of(terms), pooling, size)
        return tiling, TileInputs(terms, tiling, self._sides(pooling, tiling.size))

    def _sides(self, pooling: Pooling, size: tuple[int, int]) -> dict[str, tuple[int, int]]:
        """Height and width of each layer, and of the image, for pictures of a size."""
        found = layer_sides(self._bundle, pooling, size)
        return {IMAGE: size} | {layer: (down, across) for layer, (down, across) in found.items()}

    def _elements(
        self, terms: Sequence[Term], pooling: Pooling, size: tuple[int, int]
    ) -> dict[str, Array]:
        """The numbers of values that the losses are means of, for pictures of a size."""
        channels = {layer.name: layer.channels for layer in self._bundle.layers} | {IMAGE: 3}
        sides = self._sides(pooling, size)
        layers = {term: layer_of(term) for term in terms}
        return {
            ELEMENTS + term.name: elements_of(term, channels[layer], sides[layer])
            for term, layer in layers.items()
        }


def check_padding(padding: Padding) -> None:
    """Raise a UsageError unless the picture has zeros beyond its edge."""
    if padding != "zeros":
        raise UsageError(f"Tiles have zeros beyond the picture's edge, and no {padding} yet.")


def _wider(window: Window, places: int) -> Window:
    reach = places * window.stride
    return Window(window.stride, window.first - reach, window.last + reach)


def _shapes(values: Mapping[str, Array]) -> dict[str, Shape]:
    return {name: each.shape for name, each in values.items()}


def _parted(shapes: dict[str, Shape]) -> tuple[Shape, dict[str, Shape]]:
    """The shape of the images, and those of the other inputs."""
    return shapes[IMAGE], {name: shape for name, shape in shapes.items() if name != IMAGE}


def _target_of(term: Term, values: Mapping[str, Value]) -> tuple[str, Value]:
    """The name of a term's target, and what is known of it."""
    return TARGET + term.name, values[TARGET + term.name]
