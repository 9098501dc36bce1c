"""Terms on hypercolumns: the activations of several layers at one place, as one long column.

Kolkin, Kucera, Paris, Sykora, Shechtman & Shakhnarovich 2022, "Neural Neighbor Style Transfer":
each column of the picture is drawn towards one column of the style. All layers are resized
bilinearly to one size and divided by their numbers of channels.
"""

from __future__ import annotations

from collections.abc import Sequence

from nstbatch.runtime.formulas.formula import Formula

from .joint import Joint
from .terms import Objective, Term

FORMULAS = "nstbatch.runtime.formulas.hypercolumns"
_PULL_BACK = Formula(FORMULAS, "pull_back_columns")


def matched_columns(layers: Sequence[str]) -> Objective:
    """Nearest neighbours: mean over the columns of 1 - cosine to the target column.

    The columns lie at a quarter of the image's height and width. The caller gives the targets: for
    each column, the style column that was found for it, of length 1, (N, D, h, w).
    ``target`` computes the columns of a reference picture, to search with and among.
    """
    joint = Joint(tuple(layers), Formula(FORMULAS, "see_quarter"), _PULL_BACK)
    loss, target = Formula(FORMULAS, "matched_loss"), Formula(FORMULAS, "columns")
    term = Term("matched-columns", None, loss, target, relative=False, joint=joint)
    return Objective(((1.0, term),))


def self_similarity(layers: Sequence[str]) -> Objective:
    """Self-similarity: mean difference of the cosines between the columns of one picture.

    Kolkin, Salavon & Shakhnarovich 2019 (STROTSS) take 1024 random places; here they are a grid of
    32 by 32 at most, so that the same places count in every step and on every device.
    """
    joint = Joint(tuple(layers), Formula(FORMULAS, "see_grid"), _PULL_BACK)
    loss = Formula(FORMULAS, "self_similarity_loss")
    target = Formula(FORMULAS, "self_similarity")
    term = Term("self-similarity", None, loss, target, relative=False, joint=joint)
    return Objective(((1.0, term),))
