"""The terms of dreams: what a layer sees, made more of.

Each loss is what the run makes more of, with a minus sign, since a loop goes down. None of them is
relative to a target: their steps have a length of their own.
"""

from __future__ import annotations

from .formula import Formula
from .terms import Objective, Term

FORMULAS = "nstbatch.runtime.objectives.dream_formulas"


def energy(layer: str) -> Objective:
    """Half the mean square of chosen channels (google/deepdream: ``objective_L2``).

    Its target is given: a weight for every channel, (1, C, 1, 1), such as 0 and 1.
    """
    return _single("energy", layer, "energy_loss")


def guide(layer: str) -> Objective:
    """Likeness to the features of a guide picture (google/deepdream: ``objective_guide``)."""
    loss, target = Formula(FORMULAS, "guide_loss"), Formula(FORMULAS, "guide_features")
    term = Term("guide", layer, loss, target, relative=False)
    return Objective(((1.0, term),))


def score(layer: str) -> Objective:
    """Mean over the positions of a class's score, before the softmax (Simonyan et al. 2014).

    Its target is given: 1 for the class and 0 for the others, (1, C, 1).
    """
    return _single("score", layer, "score_loss")


def likelihood(layer: str) -> Objective:
    """Logarithm of a class's probability, which lowers the scores of the others.

    Its target is given: 1 for the class and 0 for the others, (1, C, 1).
    """
    return _single("likelihood", layer, "likelihood_loss")


def _single(kind: str, layer: str, loss: str) -> Objective:
    term = Term(kind, layer, Formula(FORMULAS, loss), given=True, relative=False)
    return Objective(((1.0, term),))
