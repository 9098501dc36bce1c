"""Priors on natural images (Mahendran & Vedaldi 2015): neither out of range nor rough.

Both are formulas on the image alone. Their published weights are for sums over a mean-centred image
of 227x227 pixels in levels from 0 to 255, divided by the square of its average norm. Here they are
means over an image in [0, 1]; the factors that the objectives carry make up for both, so the
published weights mean what they meant, at any size.
"""

from __future__ import annotations

import math

from .formula import Formula
from .terms import Objective, Term, total_variation

# deep-goggle, x0_sigma.mat: the norm of their images less the mean, taken over 227x227x3 values.
IMAGE_NORM = 27098.1
# The same as a root mean square, in levels: 68.9.
IMAGE_RMS = IMAGE_NORM / math.sqrt(227 * 227 * 3)
LEVELS = 255

FORMULAS = "nstbatch.runtime.objectives.prior_formulas"


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
    """TV^beta: mean (right^2 + down^2)^(beta / 2); for a beta of 2 the total variation.

    Args:
        beta: 1 or more. At 1 a few steep steps cost no more than many small ones.
    """
    factor = float(LEVELS**beta) / IMAGE_RMS**2
    if beta == 2:
        return factor * total_variation()
    loss = Formula(FORMULAS, "total_variation_beta_loss")
    term = Term("tv", None, loss, attributes=(("beta", float(beta)),))
    return Objective(((factor, term),))
