"""How losses are computed tile by tile, for pictures larger than memory.

A Gram matrix, like any mean over positions, is a sum over the whole picture, and a sum can be
taken tile by tile. So tiles give the losses and gradients of the whole picture, but for rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.formulas.formula import Formula
from nstbatch.runtime.names import IMAGE, MASK

from .terms import Term

FORMULAS = "nstbatch.runtime.formulas.tiles"


@dataclass(frozen=True)
class TiledLoss:
    """The parts of a loss; see :mod:`nstbatch.runtime.formulas.tiles`.

    Attributes:
        sums: ``(activation, mask[, target]) -> sums``.
        finish: ``(sums[, target], weight, elements) -> (loss, slope)``.
        pull: ``(activation, slope[, target]) -> cotangent``.
        is_local: True if ``sums`` and ``pull`` take the target, cut to the tile if it has
            positions; False if ``finish`` does, or if there is none.
    """

    sums: Formula
    finish: Formula
    pull: Formula
    is_local: bool = False


def _tiled(sums: str, finish: str, pull: str, *, is_local: bool = False) -> TiledLoss:
    def of(name: str) -> Formula:
        return Formula(FORMULAS, name)

    return TiledLoss(of(sums), of(finish), of(pull), is_local)


_MEAN = "mean_finish"

# By the formula of the loss, since two kinds of total variation have one name.
_TILED: Mapping[str, TiledLoss] = {
    "content_loss": _tiled("content_sums", _MEAN, "content_pull", is_local=True),
    "scaled_content_loss": _tiled(
        "scaled_content_sums", "scaled_content_finish", "scaled_content_pull", is_local=True
    ),
    "style_loss": _tiled("gram_sums", "style_finish", "style_pull"),
    "scaled_style_loss": _tiled("gram_sums", "scaled_style_finish", "style_pull"),
    "energy_loss": _tiled("energy_sums", _MEAN, "energy_pull", is_local=True),
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
    if term.loss.name not in _TILED or term.joint is not None:
        raise UsageError(f"The loss {term.name} cannot be computed in tiles.")
    return _TILED[term.loss.name]


def layer_of(term: Term) -> str:
    """Return the name of the layer that a term takes, or "image"."""
    return term.layer or IMAGE


def mask_of(term: Term) -> str:
    """Return the name of the mask of a term: that of its layer, or of the image."""
    return MASK + layer_of(term)
