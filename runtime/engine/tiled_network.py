"""A network whose steps and targets are computed tile by tile, for pictures larger than memory."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np

from nstbatch.runtime.arrays import Array, Shape, Shapes
from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.checks import Pooling
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.graphs.receptive_field import ReceptiveField, Window
from nstbatch.runtime.names import ELEMENTS, IMAGE, SUMS, TARGET, WEIGHT
from nstbatch.runtime.objectives.terms import Term
from nstbatch.runtime.objectives.tiled_losses import layer_of, mask_of, tiled_loss

from .network_facts import layer_sides, receptive_fields
from .network_sessions import NetworkSessions
from .tiled_step import TiledStep, added_up
from .tiles import Tile, Tiling, plan_tiles

# A total variation compares a pixel with its neighbours.
IMAGE_FIELD = ReceptiveField(Window(1, -1, 1), Window(1, -1, 1))


class TiledNetwork:
    """Opens the steps and computes the targets of pictures that are larger than a tile."""

    def __init__(self, bundle: Bundle, sessions: NetworkSessions, side: int) -> None:
        """Take a network.

        Args:
            bundle: The network.
            sessions: Its sessions.
            side: Side of a tile in pixels, without what its positions see beside it.
        """
        self._bundle, self._sessions, self.side = bundle, sessions, side

    def applies(self, terms: Collection[Term], pooling: Pooling, size: tuple[int, int]) -> bool:
        """True if pictures of a height and width are divided into more than one tile."""
        return max(size) > self.side and len(self._tiling(terms, pooling, size)) > 1

    def step(
        self, provider: Provider, terms: tuple[Term, ...], pooling: Pooling, shapes: Shapes
    ) -> TiledStep:
        """Return the step of whole pictures; see :meth:`.NetworkSessions.step`."""
        count, channels, height, width = shapes[IMAGE]
        tiling = self._tiling(terms, pooling, (height, width))
        sides = self._sides(pooling, tiling.size)
        taken: dict[str, Shape] = {IMAGE: (count, channels, *tiling.size)}
        between: dict[str, Shape] = {}
        for term in terms:
            taken[mask_of(term)] = (1, 1, *sides[layer_of(term)])
            between |= {WEIGHT + term.name: (count,), ELEMENTS + term.name: (1,)}
            if not term.has_target:
                continue
            name = TARGET + term.name
            if tiled_loss(term).is_local:
                taken[name] = windowed(shapes[name], sides[layer_of(term)])
            else:
                between[name] = shapes[name]
        sessions = self._sessions.tiles(provider, terms, pooling, taken, between)
        elements = self._elements(pooling, (height, width))
        return TiledStep(sessions, terms, tiling, sides, elements, shapes[IMAGE])

    def targets(
        self, provider: Provider, terms: tuple[Term, ...], pooling: Pooling, images: Array
    ) -> dict[str, Array]:
        """Compute the targets of terms tile by tile; see :meth:`.engine.Engine.targets`."""
        tiling = self._tiling(terms, pooling, images.shape[2:])
        local = tuple(term for term in terms if tiled_loss(term).is_local)
        summed = tuple(term for term in terms if term not in local)
        activations = self._local_targets(provider, local, pooling, images, tiling)
        return activations | self._summed_targets(provider, summed, pooling, images, tiling)

    def _local_targets(
        self,
        provider: Provider,
        terms: tuple[Term, ...],
        pooling: Pooling,
        images: Array,
        tiling: Tiling,
    ) -> dict[str, Array]:
        """Put targets with positions together from those of the tiles."""
        if not terms:
            return {}
        shape = (*images.shape[:2], *tiling.size)
        session = self._sessions.targets(provider, terms, pooling, shape)
        whole = self._sides(pooling, images.shape[2:])
        targets = {
            TARGET + term.name: np.empty(
                (*session.output_shapes[TARGET + term.name][:2], *whole[layer_of(term)]), np.float32
            )
            for term in terms
        }
        for tile in tiling:
            found = session.run({IMAGE: tile.cut(images)})
            for term in terms:
                values = found[TARGET + term.name]
                strides, sides = tiling.strides[layer_of(term)], values.shape[2:]
                counting = (..., *tile.counting(strides, sides))
                place = (..., *tile.place(strides, sides))
                targets[TARGET + term.name][place][counting] = values[counting]
        return targets

    def _summed_targets(
        self,
        provider: Provider,
        terms: tuple[Term, ...],
        pooling: Pooling,
        images: Array,
        tiling: Tiling,
    ) -> dict[str, Array]:
        """Add up targets that are means over a picture, such as Gram matrices."""
        if not terms:
            return {}
        sides = self._sides(pooling, tiling.size)
        masks = {mask_of(term): layer_of(term) for term in terms}
        shapes: dict[str, Shape] = {IMAGE: (*images.shape[:2], *tiling.size)}
        shapes |= {name: (1, 1, *sides[layer]) for name, layer in masks.items()}
        session = self._sessions.tile_sums(provider.for_targets, terms, pooling, shapes)

        def sums_of(tile: Tile) -> dict[str, Array]:
            seen = {
                name: tile.mask(tiling.strides[layer], sides[layer])
                for name, layer in masks.items()
            }
            return session.run({IMAGE: tile.cut(images), **seen})

        totals = added_up(map(sums_of, tiling))
        elements = self._elements(pooling, images.shape[2:])
        return {
            TARGET + term.name: np.asarray(
                totals[SUMS + term.name] / elements[layer_of(term)], np.float32
            )
            for term in terms
        }

    def _tiling(self, terms: Collection[Term], pooling: Pooling, size: tuple[int, int]) -> Tiling:
        fields = {IMAGE: IMAGE_FIELD}
        for layer in dict.fromkeys(layer for term in terms for layer in term.layers):
            numbers = receptive_fields(self._bundle, pooling)[layer]
            if numbers is None:
                raise UsageError(f"{layer} sees the whole picture, so it cannot be cut into tiles.")
            fields[layer] = ReceptiveField(Window(*numbers[:3]), Window(*numbers[3:]))
        return plan_tiles(size, self.side, fields)

    def _sides(self, pooling: Pooling, size: tuple[int, int]) -> dict[str, tuple[int, int]]:
        """Height and width of each layer, and of the image, for pictures of a size."""
        found = layer_sides(self._bundle, pooling, size)
        return {IMAGE: size} | {layer: (down, across) for layer, (down, across) in found.items()}

    def _elements(self, pooling: Pooling, size: tuple[int, int]) -> dict[str, float]:
        """C H W of each layer, and of the image, for pictures of a size."""
        channels = {layer.name: layer.channels for layer in self._bundle.layers} | {IMAGE: 3}
        return {
            layer: float(channels[layer] * math.prod(sides))
            for layer, sides in self._sides(pooling, size).items()
        }


def windowed(shape: Shape, sides: tuple[int, int]) -> Shape:
    """The shape of a target that is cut to a window; see :func:`.tiled_step.cut_of`."""
    has_positions = len(shape) == 4 and shape[2:] != (1, 1)
    return (*shape[:2], *sides) if has_positions else shape
