"""Joint activations: those of several layers as one, for a term that compares them together."""

from __future__ import annotations

from dataclasses import dataclass

from nstbatch.runtime.formulas.formula import Formula


@dataclass(frozen=True)
class Joint:
    """The activations of several layers, brought to one size and concatenated.

    Attributes:
        layers: The layers, in the order of their channels.
        see: ``(activation, image) -> (N, C, h, w)``; the image counts by its size alone, and gives
            all layers the same h and w.
        pull_back: ``(activation, image, gradient) -> gradient``: the transpose of ``see``, from the
            gradient in its result to that in the activation.
    """

    layers: tuple[str, ...]
    see: Formula
    pull_back: Formula
