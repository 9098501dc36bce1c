"""Medians of a few rounds that were measured in turns, and their confidence intervals.

Contestants share the rounds: a slow minute of the machine slows a whole round. So a ratio is taken
within each round, and rounds are resampled instead of single steps, which are hardly independent
within a turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# criterion draws 100,000. A median of seven rounds has few possible values, so ten thousand draws
# find the ends of its interval too.
RESAMPLES = 10_000
CONFIDENCE = 0.95  # criterion's and hyperfine's
SEED = 0  # fixed, so that the same samples give the same report

# hyperfine, outlier_detection.rs: ten standard deviations; 1.4826 times the median absolute
# deviation estimates one (Iglewicz & Hoaglin 1993).
OUTLIER_THRESHOLD = 1.4826 * 10


@dataclass(frozen=True)
class Estimate:
    """A median and its 95 % confidence interval."""

    value: float
    low: float
    high: float

    def is_one(self) -> bool:
        """True if the interval of a ratio contains 1."""
        return self.low <= 1 <= self.high


def median_estimate(values: Sequence[float]) -> Estimate:
    """Median of one value per round, with its percentile bootstrap interval (Efron 1979)."""
    medians = np.median(_resampled(np.asarray(values, np.float64), SEED), axis=1)
    return Estimate(float(np.median(values)), *_interval(medians))


def paired_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Estimate:
    """Ratio of two contestants of one run; item i of both comes from round i."""
    pairs = zip(numerators, denominators, strict=True)
    return median_estimate([numerator / denominator for numerator, denominator in pairs])


def unpaired_ratio(
    numerators: Sequence[Sequence[float]], denominators: Sequence[Sequence[float]]
) -> Estimate:
    """Ratio of the medians of two runs whose rounds are independent.

    Args:
        numerators: Samples of each round, equally many in each. The median is that of all samples;
            whole rounds are drawn (a cluster bootstrap).
        denominators: Samples of the other run, likewise.
    """
    above, below = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    ratios = np.median(_resampled(above, SEED), axis=(1, 2)) / np.median(
        _resampled(below, SEED + 1), axis=(1, 2)
    )
    return Estimate(float(np.median(above) / np.median(below)), *_interval(ratios))


def percentile95(samples: Sequence[float]) -> float:
    """The 95th percentile, interpolated between samples."""
    return float(np.percentile(samples, 95))


def count_outliers(samples: Sequence[float]) -> int:
    """Number of samples ten standard deviations off the median; see OUTLIER_THRESHOLD."""
    values = np.asarray(samples, np.float64)
    deviations = np.abs(values - np.median(values))
    spread = max(float(np.median(deviations)), np.finfo(np.float64).eps)
    return int((deviations / spread > OUTLIER_THRESHOLD).sum())


def by_rounds(samples: Sequence[float], rounds: int) -> list[float]:
    """Median of each round, from samples in the order of measurement."""
    return [float(np.median(part)) for part in np.array_split(np.asarray(samples), rounds)]


def _resampled(values: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Draw n of n values (n, ...) with replacement, RESAMPLES times: (RESAMPLES, n, ...)."""
    drawn = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    return values[drawn]


def _interval(resampled: NDArray[np.float64]) -> tuple[float, float]:
    outside = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled, (outside, 1 - outside))
    return float(low), float(high)
