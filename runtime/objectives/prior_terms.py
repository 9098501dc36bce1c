"""Priors on natural images (Mahendran & Vedaldi 2015), against extreme values and roughness.

Both are formulas on the image alone. Their published weights are for sums over a mean-centred image
of 227x227 pixels in levels from 0 to 255, divided by the square of its average norm. Here they are
means over an image in [0, 1]. The factors in the objectives convert between the two, so the
published weights can be used as they are, at any size.
"""

from __future__ import annotations

import math

from nstbatch.runtime.formulas.formula import Formula

from .terms import Objective, Term, total_variation

# deep-goggle, x0_sigma.mat: the norm of their images minus the mean, over 227x227x3 values.
IMAGE_NORM = 27098.1
# The same as a root mean square, in levels from 0 to 255: 68.9.
IMAGE_RMS = IMAGE_NORM / math.sqrt(227 * 227 * 3)
LEVELS = 255

FORMULAS = "nstbatch.runtime.formulas.priors"


def alpha_norm(alpha: float) -> Objective:
    """Alpha-norm: mean |x - mean colour|^alpha, a soft bound on the range of the pixels.

    Args:
        alpha: 2 or more.
    """
    factor = float(LEVELS**alpha) / IMAGE_RMS**2
    loss = Formula(FORMULAS, "alpha_norm_loss")
    term = Term("alpha-norm", None, loss, attributes=(("alpha", float(alpha)),))
    return Objective(((factor, term),))


def total_variation_beta(beta: float) -> Objective:
    """TV^beta: mean (right^2 + down^2)^(beta / 2), of the differences to the next pixels.

    With a beta of 2 it is the total variation.

    Args:
        beta: 1 or more. At 1 a few large differences cost no more than many small ones.
    """
    factor = float(LEVELS**beta) / IMAGE_RMS**2
    if beta == 2:
        return factor * total_variation()
    loss = Formula(FORMULAS, "total_variation_beta_loss")
    term = Term("tv", None, loss, attributes=(("beta", float(beta)),))
    return Objective(((factor, term),))
