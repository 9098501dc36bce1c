"""Views: maps between the image that an optimiser moves and the network.

A view may shift the image by a few pixels that change in every step, continue it around its edges,
or decode it from other coordinates; several views form a chain. A view consists of two onnxscript
functions, named by a :class:`nstbatch.runtime.formulas.formula.Formula`:

* ``see(image, *inputs) -> seen``: (N, 3, H, W) to (N, 3, H', W'), or to several pictures for one;
* ``pull_back(image, gradient, *inputs) -> gradient``: d(loss)/d(seen), of the shape of ``seen``, to
  d(loss)/d(image), of the shape of ``image``; the transposed derivative of ``see`` at the image.

Terms on the image also get the image as the network sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.formulas.formula import Formula
from nstbatch.runtime.names import VIEW

FORMULAS = "nstbatch.runtime.formulas.views"


@dataclass(frozen=True)
class View:
    """One map between the image and the network.

    Attributes:
        name: The view's name, part of its inputs' names.
        see: The forward function.
        pull_back: The backward function.
        inputs: Names of further inputs of both; in the step graph ``view/<name>/<input>``.
        attributes: Constants that both functions are called with.
        watched: True if the step graph also outputs how strongly the loss depends on each place of
            what the view shows: the sum over the colours of |d(loss)/d(seen)|. One view may be.
    """

    name: str
    see: Formula
    pull_back: Formula
    inputs: tuple[str, ...] = ()
    attributes: tuple[tuple[str, float], ...] = ()
    watched: bool = False

    @property
    def graph_inputs(self) -> tuple[str, ...]:
        """The names of the view's inputs in a step graph."""
        return tuple(f"{VIEW}{self.name}/{name}" for name in self.inputs)


# --- Jitter -----------------------------------------------------------------------------------


JITTER = View(
    "jitter",
    Formula(FORMULAS, "see_rolled"),
    Formula(FORMULAS, "pull_back_rolled"),
    ("down", "right"),
)
"""Shifts the image cyclically, by a new shift in every step (google/deepdream: np.roll)."""


def random_jitter(pixels: int, seed: int) -> Callable[[], Mapping[str, Array]]:
    """A function that draws the inputs of :data:`JITTER` for a step: shifts up to ``pixels``."""
    random = np.random.default_rng(seed)

    def draw() -> dict[str, Array]:
        shifts = random.integers(-pixels, pixels, size=2, endpoint=True)
        return {
            name: np.asarray(shift, np.float32)
            for name, shift in zip(JITTER.graph_inputs, shifts, strict=True)
        }

    return draw


# --- Wrapping ---------------------------------------------------------------------------------


def wrapped(margin: int) -> View:
    """The view that makes a picture tile: it continues the image around its edges.

    A network pads with zeros, so it notices the edges of an image. Through this view it sees beyond
    each edge what a tiling shows there: the rows and columns at the opposite edge.

    Args:
        margin: In pixels, at least 1; no more than the shorter side of the image.
    """
    see, pull_back = Formula(FORMULAS, "see_wrapped"), Formula(FORMULAS, "pull_back_wrapped")
    return View("wrapped", see, pull_back, attributes=(("margin", margin),))
