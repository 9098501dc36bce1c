"""Nearest-neighbour style transfer (Kolkin et al. 2022): a picture made of the style's columns.

At each size, every column of the photo's activations is replaced by the most similar one of the
style, and Adam looks for the picture that has these columns. Written from the paper; NNST's own
code (MIT) was read for its constants.

Embedding takes three lines::

    transfer = NearestNeighborStyle("vgg16", device="auto")
    result = transfer("photo.jpg", "monet.jpg", progress=print)
    result.image  # (H, W, 3) float32, RGB in [0, 1]
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.cache.lru_cache import LruCache, key_of
from nstbatch.runtime.descent.averaged import averaged
from nstbatch.runtime.descent.loop import Bounds
from nstbatch.runtime.descent.optimizers import Optimizer
from nstbatch.runtime.descent.pyramid import Level
from nstbatch.runtime.engine.engine import Targets
from nstbatch.runtime.engine.nearest import layers_of_columns
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.names import TARGET
from nstbatch.runtime.needs.peak_memory import SCALES_KEPT, columns_pass
from nstbatch.runtime.objectives.hypercolumns import matched_columns, self_similarity
from nstbatch.runtime.objectives.terms import Objective, Term
from nstbatch.runtime.objectives.views import View
from nstbatch.runtime.pictures.sizes import from_nchw
from nstbatch.runtime.style.first_images import first_images
from nstbatch.runtime.style.nearest_neighbor_options import NearestNeighborOptions
from nstbatch.runtime.style.paintings import Painting, StyleLike, painting_at
from nstbatch.runtime.style.region_columns import (
    NOWHERE,
    nearest_within,
    places_of_regions,
    recolored_by_region,
    region_numbers,
)

from .packed_levels import AdamOfLevel, PackedLevel, enlarger, packed_levels
from .style_system import Given, StyleSystem
from .system import Run

# NNST, styleTransfer.py: 2e-3, for 200 steps at each size. Twice that looks the same after 25
# steps as NNST's after 50: docs/decisions/0028-nearest-neighbors.md.
LEARNING_RATE = 4e-3
BETAS = (0.9, 0.999)  # torch.optim.Adam

# NNST halves the size for each scale.
FACTOR = 2.0

# Photos of one size share the style's columns: one set for each scale.
KEPT_COLUMNS = 6


class NearestNeighborStyle(StyleSystem[NearestNeighborOptions]):
    """A bundle on a device, ready to paint; photos of the same shape share their sessions."""

    level_factor = FACTOR

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
        self._style_columns: LruCache[Array] = LruCache(KEPT_COLUMNS)

    @property
    def options_class(self) -> type[NearestNeighborOptions]:
        """The class of the options."""
        return NearestNeighborOptions

    def _run(
        self,
        given: Given,
        levels: list[Level],
        objective: Objective,
        options: NearestNeighborOptions,
    ) -> Run:
        """Describe the run over these sizes of pictures; a UsageError if content has a mask."""
        if given.content_weights is not None:
            raise UsageError("The content of nearest neighbours has no mask: it counts everywhere.")
        pixels = given.photo.pixels
        first = first_images(options, given.start, given.paintings, levels[0])
        packed = packed_levels(levels)
        optimizer = self.optimizer(options)

        def targets(level: Level, begun: Array) -> Targets:
            assert isinstance(level, PackedLevel)
            photo = level.pixels.fit(pixels)
            share = 0.0 if level is packed[0] else options.stylization
            sought = (1 - share) * photo + share * level.laplacian.unpack(begun)
            return self._targets(objective, level.pixels, photo, sought, given, options)

        return Run(
            objective=objective,
            levels=packed,
            images=packed[0].laplacian.pack(first),
            optimizer=optimizer,
            pooling=options.pooling,
            padding=options.padding,
            targets=targets,
            bounds=Bounds(),
            views=_views,
            enlarge=enlarger(packed),
            tolerance=options.tolerance,
            checkpoint=self._checkpoint_file(
                given.checkpoint, options, optimizer, packed, *given.identity
            ),
            photo=given.photo,
            finish=lambda images: recolored_by_region(
                from_nchw(np.clip(images, 0, 1)), given.regions, given.paintings
            ),
        )

    def objective(self, options: NearestNeighborOptions) -> Objective:
        """Return the weighted terms of the options; UnknownNameError for an unknown layer."""
        layers = self._layers(options)
        objective = matched_columns(layers)
        if options.content_weight > 0:
            objective += options.content_weight * self_similarity(layers)
        return objective

    def _paintings(
        self, style: StyleLike, layers: Sequence[str], options: NearestNeighborOptions
    ) -> list[Painting]:
        paintings = super()._paintings(style, layers, options)
        if len({each.share for each in paintings}) > 1:
            raise UsageError("Nearest neighbours are sought in all styles alike, without weights.")
        return paintings

    def optimizer(self, options: NearestNeighborOptions) -> Optimizer:
        """Return the optimiser of the options."""
        rate = LEARNING_RATE if options.learning_rate is None else options.learning_rate
        return averaged(AdamOfLevel(learning_rate=rate, betas=BETAS), options.average_decay)

    def _layers(self, options: NearestNeighborOptions) -> tuple[str, ...]:
        return layers_of_columns(self.engine.bundle, options.layers)

    def peak_memory(
        self, options: NearestNeighborOptions, shape: tuple[int, int], pictures: int = 1
    ) -> int | None:
        """Return the estimated peak of this process's memory; see :mod:`.style_transfer`."""
        layers = self._layers(options)
        levels = self._levels_of_picture(shape, layers, options)
        steps = [layers] * min(len(levels), SCALES_KEPT)
        cost = columns_pass(sum(self.engine.bundle.layer(name).channels for name in layers))
        optimizer = self.optimizer(options)
        return self.engine.peak_of_descent(steps, cost, optimizer, options.pooling, shape, pictures)

    def _targets(
        self,
        objective: Objective,
        level: Level,
        photo: Array,
        sought: Array,
        given: Given,
        options: NearestNeighborOptions,
    ) -> Targets:
        """Return the targets of a level.

        Args:
            objective: The terms.
            level: The level, for pictures in pixels.
            photo: (1, 3, H, W) at the level's size.
            sought: The picture whose columns are replaced by those of the paintings, likewise.
            given: The pictures of the call.
            options: The options.
        """
        matching, *others = objective.terms
        name = TARGET + matching.name
        smallest = self._smallest(objective.layers, options)
        side = round(given.style_scale * max(photo.shape[2:]))
        resized = [painting_at(each.pixels, side, smallest) for each in given.paintings]
        seen = tuple(map(key_of, resized))

        def targets_of(terms: tuple[Term, ...], pictures: Array) -> Targets:
            return self.engine.targets(terms, pictures, options.pooling, padding=options.padding)

        def columns_of(pictures: Array) -> Array:
            return targets_of((matching,), pictures)[name]

        columns = self._style_columns.get(
            (self.engine.provider.for_targets, seen, matching, options.pooling, options.padding),
            lambda: np.concatenate([_flat(columns_of(each)) for each in resized], axis=1),
        )
        queries = columns_of(sought)
        if given.regions:
            regions = given.regions.items()
            fitted = {region: level.fit(each[..., None])[0, 0] for region, each in regions}
            numbers = region_numbers(fitted, (queries.shape[2], queries.shape[3]))
            grids = [_grid(each.shape) for each in resized]
            allowed = places_of_regions(given.paintings, given.regions, grids)
            chosen = nearest_within(_flat(queries), numbers, columns, allowed, self.engine.nearest)
            found = np.where(chosen == NOWHERE, _flat(columns_of(photo)), columns[:, chosen])
        else:
            found = columns[:, self.engine.nearest(_flat(queries), columns)]
        lengths = np.maximum(np.linalg.norm(found, axis=0), np.finfo(np.float32).tiny)
        target = np.ascontiguousarray((found / lengths).reshape(queries.shape))
        return {name: target, **targets_of(tuple(others), photo)}


def _views(level: Level) -> tuple[View, ...]:
    assert isinstance(level, PackedLevel)
    return level.laplacian.views


def _grid(shape: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of the columns of a picture, (1, 3, H, W)."""
    return max(shape[2] // 4, 1), max(shape[3] // 4, 1)


def _flat(columns: Array) -> Array:
    """(1, D, h, w) -> (D, h w), a column for each place."""
    return columns.reshape(columns.shape[1], -1)
