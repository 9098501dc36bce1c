"""Style losses on other statistics of a layer than its Gram matrix."""

from __future__ import annotations

from nstbatch.runtime.formulas.formula import Formula

from .terms import Objective, Term

MOMENTS = "nstbatch.runtime.formulas.moments"
WASSERSTEIN = "nstbatch.runtime.formulas.wasserstein"


def moments(layer: str) -> Objective:
    """Mean squared difference of the channels' means and deviations (Li et al. 2017)."""
    loss, target = Formula(MOMENTS, "moments_loss"), Formula(MOMENTS, "moments")
    return Objective(((1.0, Term("moments", layer, loss, target)),))


def scaled_moments(layer: str) -> Objective:
    """The same under a scaled squared error, as that of Gram matrices in style-transfer-pytorch."""
    loss, target = Formula(MOMENTS, "scaled_moments_loss"), Formula(MOMENTS, "moments")
    return Objective(((1.0, Term("scaled-moments", layer, loss, target, degree=1)),))


def wasserstein(layer: str) -> Objective:
    """Wasserstein-2 distance of the Gaussians with the channels' means and covariances.

    Relative to |m*|^2 + tr S*, the mean square of the style's activations (style-transfer-pytorch,
    without being relative).
    """
    loss, target = Formula(WASSERSTEIN, "wasserstein_loss"), Formula(WASSERSTEIN, "gaussian")
    return Objective(((1.0, Term("wasserstein", layer, loss, target)),))
