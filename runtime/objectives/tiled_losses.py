"""How losses are computed tile by tile, for pictures larger than memory.

A Gram matrix, like any mean over positions, is a sum over the whole picture, and a sum can be
taken tile by tile. So tiles give the losses and gradients of the whole picture, but for rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.formulas.formula import Formula
from nstbatch.runtime.names import IMAGE, MASK

from .terms import Term

FORMULAS = "nstbatch.runtime.formulas.tiles"
STATISTICS = "nstbatch.runtime.formulas.tiled_statistics"


@dataclass(frozen=True)
class TiledLoss:
    """The parts of a loss; see :mod:`nstbatch.runtime.formulas.tiles`.

    Attributes:
        sums: ``(activation, mask[, target]) -> sums``.
        finish: ``(sums[, target], weight, elements) -> (loss, slope)``.
        pull: ``(activation, slope[, target]) -> cotangent``.
        target: ``(sums, elements) -> target``, if it is computed from a reference picture's sums.
        is_local: True if ``sums`` and ``pull`` take the target, cut to the tile if it has
            positions; False if ``finish`` does, or if there is none.
        is_small: True if the reference picture is small, and never cut into tiles.
    """

    sums: Formula
    finish: Formula
    pull: Formula
    target: Formula | None = None
    is_local: bool = False
    is_small: bool = False


def _tiled(
    sums: str, finish: str, pull: str, *, is_local: bool = False, is_small: bool = False
) -> TiledLoss:
    def of(name: str) -> Formula:
        return Formula(FORMULAS, name)

    return TiledLoss(of(sums), of(finish), of(pull), is_local=is_local, is_small=is_small)


def _statistic(sums: str, finish: str, pull: str, target: str) -> TiledLoss:
    def of(name: str) -> Formula:
        return Formula(STATISTICS, name)

    return TiledLoss(of(sums), of(finish), of(pull), of(target))


def _gram(finish: str) -> TiledLoss:
    return replace(
        _tiled("gram_sums", finish, "style_pull"), target=Formula(STATISTICS, "mean_target")
    )


_MEAN = "mean_finish"

# By the formula of the loss, since two kinds of total variation have one name.
_TILED: Mapping[str, TiledLoss] = {
    "content_loss": _tiled("content_sums", _MEAN, "content_pull", is_local=True),
    "scaled_content_loss": _tiled(
        "scaled_content_sums", "scaled_content_finish", "scaled_content_pull", is_local=True
    ),
    "style_loss": _gram("style_finish"),
    "scaled_style_loss": _gram("scaled_style_finish"),
    "moments_loss": _statistic("moment_sums", "moments_finish", "moments_pull", "moments_target"),
    "scaled_moments_loss": _statistic(
        "moment_sums", "scaled_moments_finish", "moments_pull", "moments_target"
    ),
    "wasserstein_loss": _statistic(
        "gaussian_sums", "wasserstein_finish", "wasserstein_pull", "gaussian_target"
    ),
    "shifted_gram_loss": _statistic(
        "shifted_sums", "shifted_finish", "shifted_pull", "shifted_target"
    ),
    "energy_loss": _tiled("energy_sums", _MEAN, "energy_pull", is_local=True),
    "guide_loss": _tiled("guide_sums", _MEAN, "guide_pull", is_local=True, is_small=True),
    "inner_product": _tiled("product_sums", "product_finish", "product_pull", is_local=True),
    "total_variation_loss": _tiled("total_variation_sums", _MEAN, "total_variation_pull"),
    "total_variation_beta_loss": _tiled(
        "total_variation_beta_sums", _MEAN, "total_variation_beta_pull"
    ),
    "alpha_norm_loss": _tiled("alpha_norm_sums", _MEAN, "alpha_norm_pull"),
}


def tiled_loss(term: Term) -> TiledLoss:
    """Return how the loss of a term is computed in tiles.

    Raises:
        UsageError: Its loss depends on the whole picture at once.
    """
    if not have_tiles([term]):
        raise UsageError(
            f"The loss {term.name} depends on the whole picture at once, so it cannot be computed "
            "in tiles. Choose another loss, or a smaller picture."
        )
    return _TILED[term.loss.name]


def have_tiles(terms: Iterable[Term]) -> bool:
    """True if the losses of all terms can be computed in tiles."""
    return all(term.loss.name in _TILED and term.joint is None for term in terms)


def layer_of(term: Term) -> str:
    """Return the name of the layer that a term takes, or "image"."""
    return term.layer or IMAGE


def mask_of(term: Term) -> str:
    """Return the name of the mask of a term: that of its layer, or of the image."""
    return MASK + layer_of(term)


def shift_of(term: Term) -> int:
    """Return how many places of its layer a term looks beyond each place."""
    return int(dict(term.attributes).get("shift", 0))


def places_of(terms: Iterable[Term]) -> dict[str, int]:
    """Return the layers of terms, and the places that a loss looks beyond each of their places."""
    places: dict[str, int] = {}
    for term in terms:
        for layer in term.layers:
            places[layer] = max(shift_of(term), places.get(layer, 0))
    return places


def elements_of(term: Term, channels: int, sides: tuple[int, int]) -> Array:
    """Return the number of values that a loss is a mean of, (1,); or down and to the right, (2,).

    Args:
        term: The term.
        channels: Channels of its layer, or of the image.
        sides: Height and width of the layer in the whole picture.
    """
    height, width = sides
    shift = shift_of(term)
    if not shift:
        return np.array([channels * height * width], np.float32)
    pairs = (height - shift) * width, height * (width - shift)
    return np.array(pairs, np.float32) * channels
