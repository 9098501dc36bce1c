"""The terms of dreams, which amplify the activations of a layer.

Each loss is the amplified quantity with a minus sign, since the loop minimises. None of them is
relative to a target: the runs that use them set the length of a step themselves.
"""

from __future__ import annotations

from nstbatch.runtime.formulas.formula import Formula

from .terms import Objective, Term

FORMULAS = "nstbatch.runtime.formulas.dream"


def energy(layer: str) -> Objective:
    """Half the mean square of chosen channels (google/deepdream: ``objective_L2``).

    The caller gives its target: a weight for every channel, (1, C, 1, 1), such as 0 or 1.
    """
    return _single("energy", layer, "energy_loss")


def guide(layer: str) -> Objective:
    """Similarity to the features of a guide picture (google/deepdream: ``objective_guide``)."""
    loss, target = Formula(FORMULAS, "guide_loss"), Formula(FORMULAS, "guide_features")
    term = Term("guide", layer, loss, target, relative=False)
    return Objective(((1.0, term),))


def score(layer: str) -> Objective:
    """Score of a class before the softmax, mean over positions (Simonyan et al. 2014).

    The caller gives its target: 1 for the class and 0 for the others, (1, C, 1).
    """
    return _single("score", layer, "score_loss")


def likelihood(layer: str) -> Objective:
    """Logarithm of a class's probability; raising it also lowers the scores of the other classes.

    The caller gives its target: 1 for the class and 0 for the others, (1, C, 1).
    """
    return _single("likelihood", layer, "likelihood_loss")


def _single(kind: str, layer: str, loss: str) -> Objective:
    term = Term(kind, layer, Formula(FORMULAS, loss), given=True, relative=False)
    return Objective(((1.0, term),))
