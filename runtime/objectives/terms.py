"""The terms of an objective. Each defines its target, its loss and its cotangent, as ONNX.

A kind of term consists of two onnxscript functions, which read like the formula and are named by a
:class:`nstbatch.runtime.formulas.formula.Formula`:

* ``target(activation) -> target``: the part of a reference picture that the loss compares with;
* ``loss(activation, target, weight) -> (loss, cotangent)``: the weighted loss of each picture of a
  batch, (N,), and its derivative in the activation, of the activation's shape. A loss that also
  declares ``pictures: int`` is given N.

``weight`` is one number for each picture, (N,). Like the targets it is an input of the graph, so a
change of it needs no new graph. A term on the image itself has no target; it gets the image, as the
network sees it, in place of an activation. If a target is not computed from a reference picture,
such as a choice of channels, the caller gives it.

A loss with a target is relative to that target, unless the term says otherwise: the weight in the
graph is divided by the target's mean square, see :meth:`Term.graph_weight`. A weight then means the
same on every layer of every network, whatever the scale of its activations. A loss that grows with
the target itself, not with its square, is divided by the mean of its absolute values.

Terms add and scale like numbers, ``5 * content("relu4_2") + 100 * style("relu1_1")``, and the sum
describes itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.formulas.formula import Formula
from nstbatch.runtime.names import TARGET, WEIGHT

from .joint import Joint

FORMULAS = "nstbatch.runtime.formulas.terms"
SCALED = "nstbatch.runtime.formulas.scaled"

# Values that are widened to double precision at a time, 8 MB.
_PIECE = 2**20

CONTENT_TARGET = Formula(FORMULAS, "content_target")
"""The activation itself."""


@dataclass(frozen=True)
class Term:
    """One part of an objective: a formula on a layer, on several as one, or on the image.

    Attributes:
        kind: Name of the formula, one word, such as "style" or "scaled-style".
        layer: Name of the layer whose activation it takes; None for the image, or with ``joint``.
        loss: The function that returns the loss and its derivative.
        target: The function that computes the target from a reference picture's activation.
        given: True if the caller gives the target, instead of a reference picture.
        relative: True if the loss is divided by the mean of |target|^degree.
        degree: Power by which the loss grows with the scale of activation and target.
        attributes: Constants that ``loss`` is called with, and ``target`` with those that it
            declares; a change of one needs a new graph.
        joint: Several layers whose activations it takes as one; ``layer`` is None then.
        part: The part of the picture or of the style that it is for, if there are several terms of
            a kind on one layer; one word, also in its name.
        of_sum: True if its weight is for the sum over the image's values, of which its loss is the
            mean; for terms on the image.
        guided: True if target and loss take the activation multiplied by a guide, (N, 1, h, w) at
            the layer's height and width, which says where they look (Gatys et al. 2017).
    """

    kind: str
    layer: str | None
    loss: Formula
    target: Formula | None = None
    given: bool = False
    relative: bool = True
    degree: int = 2
    attributes: tuple[tuple[str, float], ...] = ()
    joint: Joint | None = None
    part: str = ""
    of_sum: bool = False
    guided: bool = False

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers whose activations it takes; none for a term on the image."""
        if self.joint is not None:
            return self.joint.layers
        return () if self.layer is None else (self.layer,)

    @property
    def name(self) -> str:
        """Name of the loss, such as ``style/relu1_1``; also the last part of its inputs' names."""
        whole = self.kind if self.layer is None else f"{self.kind}/{self.layer}"
        return f"{whole}@{self.part}" if self.part else whole

    @property
    def has_target(self) -> bool:
        """True if ``loss`` takes a target."""
        return self.target is not None or self.given

    def graph_weight(
        self, weight: float, target: Array | None, pictures: int, values: int = 1
    ) -> Array:
        """Value of the graph's weight input, (N,), which makes the loss relative to its target.

        Mahendran & Vedaldi (2015) normalise their feature distance likewise, |F - P|^2 / |P|^2.

        Args:
            weight: Weight of the term in its objective.
            target: (N, ...), or (1, ...) if all pictures share it; None for a term without target.
            pictures: N.
            values: C H W of the images.
        """
        if self.of_sum:
            weight *= values
        if target is None or not self.relative:
            return np.full(pictures, weight, np.float32)
        scale = np.array([_mean_power(each, self.degree) for each in target])
        # A loss cannot be relative to a target of zeros, so its weight stays as it is.
        relative = weight / np.where(scale < np.finfo(np.float32).tiny, 1, scale)
        return np.broadcast_to(relative, (pictures,)).astype(np.float32)


def _mean_power(values: Array, degree: int) -> float:
    """Return the mean of |values|^degree; in pieces, since a target may be larger than memory."""
    flat, total = values.reshape(-1), 0.0
    for start in range(0, flat.size, _PIECE):
        piece = flat[start : start + _PIECE].astype(np.float64)
        total += float(np.sum(np.abs(piece) ** degree))
    return total / flat.size


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
        """The terms without their weights, as graphs are built from them."""
        return tuple(term for _, term in self.weighted)

    @property
    def layers(self) -> list[str]:
        """The layers of the terms; terms on the image are left out."""
        return [layer for term in self.terms for layer in term.layers]

    @property
    def weights(self) -> Mapping[str, float]:
        """The weights, by the names of their terms."""
        return {term.name: weight for weight, term in self.weighted}

    def graph_weights(
        self, targets: Mapping[str, Array], images: tuple[int, ...]
    ) -> dict[str, Array]:
        """Return the weights of the terms, (N,), by the names of a step graph's inputs.

        Args:
            targets: The targets, by the names of the graph's inputs.
            images: Shape of the images, (N, C, H, W).
        """
        pictures, values = images[0], math.prod(images[1:])
        return {
            WEIGHT + term.name: term.graph_weight(
                weight, targets.get(TARGET + term.name), pictures, values
            )
            for weight, term in self.weighted
        }


def content(layer: str) -> Objective:
    """Content loss: mean squared difference of the activations (Johnson's neural-style)."""
    loss = Formula(FORMULAS, "content_loss")
    return Objective(((1.0, Term("content", layer, loss, CONTENT_TARGET)),))


def style(layer: str) -> Objective:
    """Style loss: mean squared difference of the Gram matrices (Gatys et al. 2016)."""
    loss, target = Formula(FORMULAS, "style_loss"), Formula(FORMULAS, "gram_matrix")
    return Objective(((1.0, Term("style", layer, loss, target)),))


def scaled_content(layer: str) -> Objective:
    """Content loss under a scaled squared error (style-transfer-pytorch)."""
    loss = Formula(SCALED, "scaled_content_loss")
    return Objective(((1.0, Term("scaled-content", layer, loss, CONTENT_TARGET, degree=1)),))


def scaled_style(layer: str) -> Objective:
    """Style loss of Gram matrices under a scaled squared error (style-transfer-pytorch)."""
    loss, target = Formula(SCALED, "scaled_style_loss"), Formula(FORMULAS, "gram_matrix")
    return Objective(((1.0, Term("scaled-style", layer, loss, target, degree=1)),))


def total_variation(*, of_sum: bool = False) -> Objective:
    """Total variation: mean squared difference of neighbouring pixels (style-transfer-pytorch).

    Args:
        of_sum: True if the weight is for the sum of the squared differences (neural-style).
    """
    loss = Formula(FORMULAS, "total_variation_loss")
    return Objective(((1.0, Term("tv", None, loss, of_sum=of_sum)),))


# --- Projection -------------------------------------------------------------------------------


def projection(layer: str) -> Term:
    """A term that projects its target back to the image: <activation, target>.

    The derivative of the inner product of an activation F and a tensor v is v itself. So linking
    this term to a gradient graph makes the gradient equal v carried back to the image; with the
    deconv graph this is the projection of Zeiler & Fergus 2014, section 2.1. All other layers have
    no term, so their cotangents are zeros.
    """
    loss = Formula(FORMULAS, "inner_product")
    return Term("projection", layer, loss, CONTENT_TARGET)
