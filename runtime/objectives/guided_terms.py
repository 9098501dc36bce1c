"""Terms that look at a part of a picture (Gatys et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nstbatch.runtime.checks import StyleLoss
from nstbatch.runtime.formulas.formula import Formula

from .style_terms import MOMENTS, WASSERSTEIN
from .terms import Term

# Columns that are sorted have no weights.
UNGUIDED: tuple[StyleLoss, ...] = ("sliced",)
"""The style losses that have no guided terms."""


def _pair(module: str, name: str) -> tuple[Formula, Formula]:
    return Formula(module, name), Formula(module, f"{name}_within")


_CORRELATIONS = "nstbatch.runtime.formulas.correlations"

# Formulas that need the guide itself, beside the activation multiplied by it.
_WITHIN: Mapping[Formula, Formula] = dict(
    [
        *(_pair(MOMENTS, name) for name in ("moments", "moments_loss", "scaled_moments_loss")),
        *(_pair(WASSERSTEIN, name) for name in ("gaussian", "wasserstein_loss")),
        *(_pair(_CORRELATIONS, name) for name in ("shifted_grams", "shifted_gram_loss")),
    ]
)


def guided(term: Term, part: str = "") -> Term:
    """Return a term that looks where its guide is.

    Args:
        term: A term on one layer, not of a style loss of :data:`UNGUIDED`.
        part: Name of the part of the picture.
    """
    loss, target = _WITHIN.get(term.loss, term.loss), term.target
    target = None if target is None else _WITHIN.get(target, target)
    return replace(term, guided=True, part=part, loss=loss, target=target)
