"""The targets of a style transfer at one size: from the photo, and from each painting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.cache.lru_cache import LruCache, key_of
from nstbatch.runtime.checks import Pooling
from nstbatch.runtime.descent.pyramid import Level
from nstbatch.runtime.engine.engine import Engine, Targets
from nstbatch.runtime.names import GUIDE, TARGET
from nstbatch.runtime.needs.network_facts import layer_sides
from nstbatch.runtime.objectives.terms import CONTENT_TARGET, Objective, Term
from nstbatch.runtime.pictures.sizes import resize
from nstbatch.runtime.style.paintings import Painting, blended, painting_at
from nstbatch.runtime.style.regions import counterpart, guide, weights_at
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions

from .style_system import Given

# Photos of one size share the style's targets: one set for each scale and orientation.
KEPT_TARGETS = 16


class StyleTargets:
    """Makes the targets and guides of one engine, and keeps those of paintings."""

    def __init__(self, engine: Engine) -> None:
        """Take an engine."""
        self._engine = engine
        self._of_style: LruCache[Targets] = LruCache(KEPT_TARGETS)

    def at(
        self,
        level: Level,
        objective: Objective,
        given: Given,
        options: StyleTransferOptions,
        smallest: int,
    ) -> Targets:
        """Return targets and guides: photo at this size, paintings at theirs.

        A long and narrow painting is larger, so that its short side is not below ``smallest``.
        """
        of_content = tuple(term for term in objective.terms if term.target == CONTENT_TARGET)
        # Whatever else has a target takes it from the paintings, a new loss too.
        of_style = tuple(
            term for term in objective.terms if term.target not in (None, CONTENT_TARGET)
        )
        guides = self._guides(level, of_content + of_style, given, options.pooling)
        of_photo = {GUIDE + term.name for term in of_content} & guides.keys()
        side = round(given.style_scale * max(level.height, level.width))
        resized = [painting_at(each.pixels, side, smallest) for each in given.paintings]
        return {
            **guides,
            **self._blended(of_style, given, resized, options),
            **self._engine.targets(
                of_content,
                level.fit(given.photo.pixels),
                options.pooling,
                guides={name: guides[name] for name in sorted(of_photo)},
                padding=options.padding,
            ),
        }

    def _blended(
        self,
        terms: tuple[Term, ...],
        given: Given,
        resized: list[Array],
        options: StyleTransferOptions,
    ) -> Targets:
        """Return the targets of the style: the means of those of its paintings."""
        shares = tuple(each.share for each in given.paintings)
        seen = tuple(map(key_of, (*resized, *_masks(given.paintings))))

        def blend() -> Targets:
            found = [
                self._of_painting(terms, painting, pixels, options)
                for painting, pixels in zip(given.paintings, resized, strict=True)
            ]
            names = (TARGET + term.name for term in terms)
            return {
                name: blended(
                    [
                        (share, targets[name])
                        for share, targets in zip(shares, found, strict=True)
                        if name in targets
                    ]
                )
                for name in names
            }

        network = (self._engine.provider.for_targets, options.pooling, options.padding)
        key = (*network, seen, shares, terms)
        return self._of_style.get(key, blend)

    def _of_painting(
        self,
        terms: tuple[Term, ...],
        painting: Painting,
        pixels: Array,
        options: StyleTransferOptions,
    ) -> Targets:
        """Return the targets of the terms whose regions a painting has."""
        present = tuple(
            term
            for term in terms
            if painting.regions is None or counterpart(term.part, painting.regions)
        )
        pooling = options.pooling
        guides = self._guides_of_painting(present, painting, pixels, pooling)
        return self._engine.targets(
            present, pixels, pooling, keep=True, guides=guides, padding=options.padding
        )

    def _guides(
        self, level: Level, terms: tuple[Term, ...], given: Given, pooling: Pooling
    ) -> Mapping[str, Array]:
        """Return the guides of the photo's canvas."""
        guided = [term for term in terms if term.guided]
        if not guided:
            return {}
        sides = layer_sides(self._engine.bundle, pooling, level.canvas)
        found = {}
        for term in guided:
            layer = self._engine.bundle.layer(str(term.layer))
            if term.part:
                region = level.fit(given.regions[term.part][..., None])[0, 0]
                made = guide(region, layer.receptive_field, sides[layer.name])
            else:
                assert given.content_weights is not None
                weights = level.fit(given.content_weights[..., None])[0, 0]
                made = weights_at(weights, sides[layer.name])
            found[GUIDE + term.name] = made
        return found

    def _guides_of_painting(
        self, terms: tuple[Term, ...], painting: Painting, pixels: Array, pooling: Pooling
    ) -> Mapping[str, Array]:
        if not any(term.guided for term in terms):
            return {}
        size = (pixels.shape[2], pixels.shape[3])
        sides = layer_sides(self._engine.bundle, pooling, size)

        def made(term: Term) -> Array:
            layer = self._engine.bundle.layer(str(term.layer))
            if painting.regions is None:
                return np.ones((1, 1, *sides[layer.name]), np.float32)
            region = painting.regions[str(counterpart(term.part, painting.regions))]
            return guide(resize(region, size), layer.receptive_field, sides[layer.name])

        return {GUIDE + term.name: made(term) for term in terms}


def _masks(paintings: Sequence[Painting]) -> Iterator[Array]:
    for each in paintings:
        yield from (each.regions or {}).values()
