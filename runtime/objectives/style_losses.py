"""The style losses that verbs offer by name: what of a layer's activation is compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from nstbatch.runtime.checks import Error, StyleLoss
from nstbatch.runtime.formulas.formula import Formula

from .style_terms import moments, scaled_moments, wasserstein
from .terms import Objective, Term, scaled_style, style

OfLayer: TypeAlias = Callable[[str, int], Objective]

# Pixels; the exemplar is compared with itself so far to the right and down. Chosen by eye:
# docs/decisions/0036-regular-textures.md.
SHIFTS = (16, 32, 64)


def shifted_gram(layer: str, shift: int) -> Objective:
    """Gram matrices between a layer and its copy, shifted down and to the right.

    Berger & Memisevic 2016: they know what recurs at a distance, as bricks do.

    Args:
        layer: The layer.
        shift: In places of the layer, at least 1 and below its height and width.
    """
    formulas = "nstbatch.runtime.formulas.correlations"
    loss, target = Formula(formulas, "shifted_gram_loss"), Formula(formulas, "shifted_grams")
    term = Term(f"shifted-{shift}", layer, loss, target, attributes=(("shift", shift),))
    return Objective(((1.0, term),))


def sliced(layer: str) -> Objective:
    """Sliced Wasserstein distance between the distributions of columns (Heitz et al. 2021)."""
    formulas = "nstbatch.runtime.formulas.sliced"
    loss, target = Formula(formulas, "sliced_loss"), Formula(formulas, "quantiles")
    return Objective(((1.0, Term("sliced", layer, loss, target)),))


def shifts_of(stride: int) -> tuple[int, ...]:
    """Return :data:`SHIFTS` in places of a layer with this stride, each once and at least 1."""
    return tuple(dict.fromkeys(max(1, shift // stride) for shift in SHIFTS))


def _shifted_grams(layer: str, stride: int) -> Objective:
    """The plain Gram matrix and the shifted ones, with equal shares."""
    parts = [style(layer), *(shifted_gram(layer, shift) for shift in shifts_of(stride))]
    objective = Objective()
    for part in parts:
        objective += 1 / len(parts) * part
    return objective


def least_side(loss: StyleLoss) -> int:
    """Return the smallest side of a picture in pixels: shifted copies must share half of it."""
    return 2 * max(SHIFTS) if loss == "shifted-gram" else 0


def _one(objective: Callable[[str], Objective]) -> OfLayer:
    return lambda layer, stride: objective(layer)


def _with_any_error(of_layer: OfLayer) -> Mapping[Error, OfLayer]:
    """A loss that has an error of its own."""
    return {"mse": of_layer, "scaled-mse": of_layer}


STYLE_LOSSES: Mapping[StyleLoss, Mapping[Error, OfLayer]] = {
    "gram": {"mse": _one(style), "scaled-mse": _one(scaled_style)},
    "shifted-gram": _with_any_error(_shifted_grams),
    "moments": {"mse": _one(moments), "scaled-mse": _one(scaled_moments)},
    "wasserstein": _with_any_error(_one(wasserstein)),
    "sliced": _with_any_error(_one(sliced)),
}
"""The objective of a layer and its stride in pixels, by the names of loss and error."""
