"""The terms of an objective, each once: its target, its loss and its cotangent, as ONNX.

The contract of a kind of term is two onnxscript functions, which read as the formula:

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
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import onnxscript
from numpy.typing import NDArray
from onnxscript import FLOAT, script

if TYPE_CHECKING:  # onnxscript reads the annotations in its own types
    Tensor: TypeAlias = Any
else:
    Tensor = onnxscript.FLOAT[...]
Array: TypeAlias = NDArray[np.float32]
op: Any = onnxscript.opset20
DOMAIN = onnxscript.values.Opset("nstbatch.terms", 1)


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
    loss: Any
    target: Any = None
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
    return Objective(((1.0, Term("content", layer, content_loss, content_target)),))


def style(layer: str) -> Objective:
    """Style loss: mean squared difference of the Gram matrices (Gatys et al. 2016)."""
    return Objective(((1.0, Term("style", layer, style_loss, gram_matrix)),))


def total_variation() -> Objective:
    """Total variation: mean squared difference of neighbouring pixels (style-transfer-pytorch)."""
    return Objective(((1.0, Term("tv", None, total_variation_loss)),))


# --- Content ----------------------------------------------------------------------------------


@script(DOMAIN, default_opset=op)
def content_target(activation: Tensor) -> Tensor:
    """The activation itself, (N, C, H, W), or (N, C) of a layer without positions."""
    return op.Identity(activation)


@script(DOMAIN, default_opset=op)
def content_loss(activation: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """L = w mean (F - P)^2; dL/dF = 2 w (F - P) / (C H W). neural-style's nn.MSECriterion.

    The mean is over all axes but the first, however many there are.
    """
    difference = activation - target
    axes = op.Range(1, op.Size(op.Shape(activation)), 1)
    loss = weight * op.ReduceMean(difference * difference, axes, keepdims=0)
    elements = op.Cast(op.ReduceProd(op.Shape(activation, start=1)), to=FLOAT.dtype)
    slope = op.Unsqueeze(2.0 * weight / elements, axes)
    return loss, difference * slope


# --- Style ------------------------------------------------------------------------------------


@script(DOMAIN, default_opset=op)
def gram_matrix(activation: Tensor) -> Tensor:
    """G = F F^T / (C H W), (N, C, C), of the activation as F (N, C, H W); neural-style's scale.

    Each factor carries the root of the scale: the sum of squares before it would overflow float16.
    """
    elements = op.Cast(op.ReduceProd(op.Shape(activation, start=1)), to=FLOAT.dtype)
    features = op.Reshape(activation, [0, 0, -1]) / op.Sqrt(elements)
    return op.MatMul(features, op.Transpose(features, perm=[0, 2, 1]))


@script(DOMAIN, default_opset=op)
def style_loss(
    activation: Tensor, target: Tensor, weight: Tensor, pictures: int = 1
) -> tuple[Tensor, Tensor]:
    """L = w mean (G - A)^2; dL/dF = 4 w (G - A) F / (C^3 H W), G and A being symmetric.

    The product with F is a 1x1 convolution whose filters are G - A, one group per picture, which
    spares two changes of layout: 13 % of a whole step of VGG16 at 512 pixels.
    """
    difference = gram_matrix(activation) - target
    loss = weight * op.ReduceMean(difference * difference, [1, 2], keepdims=0)

    channels = op.Shape(activation, start=1, end=2)
    elements = op.Cast(op.ReduceProd(op.Shape(activation, start=1)), to=FLOAT.dtype)
    pairs = op.Cast(channels * channels, to=FLOAT.dtype)
    scaled = difference * op.Unsqueeze(4.0 * weight / (pairs * elements), [1, 2])

    filters = op.Reshape(scaled, op.Concat([-1], channels, [1, 1], axis=0))
    stacked = op.Reshape(activation, op.Concat([1, -1], op.Shape(activation, start=2), axis=0))
    product = op.Conv(stacked, filters, group=pictures)
    return loss, op.Reshape(product, op.Shape(activation))


# --- Total variation --------------------------------------------------------------------------


@script(DOMAIN, default_opset=op)
def total_variation_loss(image: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """L = w mean (right^2 + down^2) of the steps to the next pixel; at the border there is none.

    A pixel's derivative is 2 w / (C H W) times the steps that end in it less those that start.
    """
    down = op.Slice(image, [1], [2147483647], [2]) - op.Slice(image, [0], [-1], [2])
    right = op.Slice(image, [1], [2147483647], [3]) - op.Slice(image, [0], [-1], [3])
    elements = op.Cast(op.ReduceProd(op.Shape(image, start=1)), to=FLOAT.dtype)
    scale = weight / elements
    steps = op.ReduceSum(down * down, [1, 2, 3], keepdims=0) + op.ReduceSum(
        right * right, [1, 2, 3], keepdims=0
    )
    ends = op.Pad(down, [0, 0, 1, 0, 0, 0, 0, 0]) + op.Pad(right, [0, 0, 0, 1, 0, 0, 0, 0])
    starts = op.Pad(down, [0, 0, 0, 0, 0, 0, 1, 0]) + op.Pad(right, [0, 0, 0, 0, 0, 0, 0, 1])
    return scale * steps, (ends - starts) * op.Unsqueeze(2.0 * scale, [1, 2, 3])
