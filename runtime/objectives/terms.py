"""The terms of an objective, each once: its target, its loss and its cotangent, as ONNX.

The contract of a kind of term is two onnxscript functions, which read as the formula and are named
by a :class:`.formula.Formula`:

* ``target(activation) -> target``: what the reference picture leaves behind;
* ``loss(activation, target, weight) -> (loss, cotangent)``: the weighted loss of each picture of a
  batch, (N,), and its derivative in the activation, of the activation's shape.

``weight`` is one number for each picture, (N,), and, like the targets, an input of the graph:
changing it relinks nothing. A term on the image itself has no target and is handed the image, as
the network sees it, in place of an activation. A target that no reference picture leaves behind,
such as a choice of channels, is given by whoever sets up the run.

Losses with a target are measured relative to it, unless a term says otherwise: the weight that the
graph is given is divided by the target's mean square, see :meth:`Term.graph_weight`. A weight then
means the same on every layer of every network, whatever the scale of its activations.

Terms add and scale like numbers, ``5 * content("relu4_2") + 100 * style("relu1_1")``, and the sum
describes itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nstbatch.runtime.arrays import Array

from .formula import Formula

FORMULAS = "nstbatch.runtime.objectives.term_formulas"


@dataclass(frozen=True)
class Term:
    """One part of an objective: a formula on a layer, or on the image where ``layer`` is None.

    Attributes:
        kind: Which formula; one word.
        layer: The activation it is on.
        loss: The formula and its derivative.
        target: What a reference picture leaves behind.
        given: Whether its target comes from elsewhere than a reference picture.
        relative: Whether its loss is measured by the mean square of its target.
        attributes: Fixed numbers that ``loss`` is called with; changing one links a new graph.
    """

    kind: str
    layer: str | None
    loss: Formula
    target: Formula | None = None
    given: bool = False
    relative: bool = True
    attributes: tuple[tuple[str, float], ...] = ()

    @property
    def name(self) -> str:
        """``style/relu1_1``: the name of its loss, and of its inputs' last part."""
        return self.kind if self.layer is None else f"{self.kind}/{self.layer}"

    @property
    def has_target(self) -> bool:
        """Whether ``loss`` takes one."""
        return self.target is not None or self.given

    def graph_weight(self, weight: float, target: Array | None, pictures: int) -> Array:
        """What the graph's weight input is given, (N,), so that a loss is relative to its target.

        As Mahendran & Vedaldi (2015) normalise their feature distance, |F - P|^2 / |P|^2.

        Args:
            weight: Of the term in its objective.
            target: (N, ...), or (1, ...) for one that all pictures share; None for a term without.
            pictures: N.
        """
        if target is None or not self.relative:
            return np.full(pictures, weight, np.float32)
        mean_square = np.mean(
            np.square(target, dtype=np.float64), axis=tuple(range(1, target.ndim))
        )
        # Nothing is relative to a target of zeros.
        relative = weight / np.where(mean_square < np.finfo(np.float32).tiny, 1, mean_square)
        return np.broadcast_to(relative, (pictures,)).astype(np.float32)


@dataclass(frozen=True)
class Objective:
    """A weighted sum of terms."""

    weighted: tuple[tuple[float, Term], ...] = ()

    def __add__(self, other: Objective) -> Objective:
        return Objective(self.weighted + other.weighted)

    def __rmul__(self, factor: float) -> Objective:
        return Objective(tuple((factor * weight, term) for weight, term in self.weighted))

    def __str__(self) -> str:
        return " + ".join(f"{weight:g} {term.name}" for weight, term in self.weighted)

    @property
    def terms(self) -> tuple[Term, ...]:
        """The terms without their weights, which is all that a graph knows of."""
        return tuple(term for _, term in self.weighted)

    @property
    def layers(self) -> list[str]:
        """The layers that the terms are on; those on the image have none."""
        return [term.layer for term in self.terms if term.layer is not None]

    @property
    def weights(self) -> Mapping[str, float]:
        """The weights by the names of the terms."""
        return {term.name: weight for weight, term in self.weighted}


def content(layer: str) -> Objective:
    """Content loss: mean squared difference of the activations (Johnson's neural-style)."""
    loss, target = Formula(FORMULAS, "content_loss"), Formula(FORMULAS, "content_target")
    return Objective(((1.0, Term("content", layer, loss, target)),))


def style(layer: str) -> Objective:
    """Style loss: mean squared difference of the Gram matrices (Gatys et al. 2016)."""
    loss, target = Formula(FORMULAS, "style_loss"), Formula(FORMULAS, "gram_matrix")
    return Objective(((1.0, Term("style", layer, loss, target)),))


def total_variation() -> Objective:
    """Total variation: mean squared difference of neighbouring pixels (style-transfer-pytorch)."""
    return Objective(((1.0, Term("tv", None, Formula(FORMULAS, "total_variation_loss"))),))


# --- Projection -------------------------------------------------------------------------------


def projection(layer: str) -> Term:
    """The inner product of a layer's activation with its target: a term that projects the target.

    The derivative of the inner product of an activation F and a tensor v is v itself, so linking
    this term to a gradient graph makes the gradient what v becomes on its way back to the image:
    with the deconv graph, the projection of Zeiler & Fergus 2014, section 2.1. All other layers
    have no term, and their cotangents are zeros.
    """
    loss, target = Formula(FORMULAS, "inner_product"), Formula(FORMULAS, "content_target")
    return Term("projection", layer, loss, target)
