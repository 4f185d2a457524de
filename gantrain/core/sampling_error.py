"""The standard error of a mean over samples, and where ±1.96 of it do not hold 95 % of repetitions."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from gantrain.core.estimate import Estimate

FEWEST = 30  # independent units of a mean that is nearly normal
HEAVY_TAILS = "heavy tails: a few samples decide it"
# Calibrated by tests/objectives/test_estimate_errors.py: skewness of a mean, alone and where a side has a heavy tail.
MAX_SKEWNESS, MAX_HEAVY_SKEWNESS, HEAVY_SHAPE = 0.2, 0.1, 0.4
# From k = 1/2 on a second moment is infinite; of 1,000 such terms ``tail_shape`` finds 0.41 on average.
DOUBTFUL_VARIANCE, INFINITE_VARIANCE = 0.42, 0.5
NEGLIGIBLE = 0.02  # share of the variance below which a side's tail does not matter


def estimate_from_means(
    value: float, *sides: Tensor, slope: float = 1.0, group: int = 1, is_lower_bound: bool = False
) -> Estimate:
    """Return ``value``, a constant plus ``slope`` times the sum of the sides' means, with its standard error.

    Sides of the same length are pairs: the i-th samples may share a condition, so their covariance counts.

    Args:
        value: What is estimated.
        sides: A term for each sample, shape [N] each.
        slope: See above.
        group: Consecutive terms that depend on each other, such as those of one batch; N is a multiple of it.
        is_lower_bound: Of the estimate.
    """
    # [N] to independent units [N / group]
    units = [side.detach().cpu().double().numpy().reshape(-1, group).mean(1) for side in sides]
    summands = [np.sum(units, axis=0)] if len({len(u) for u in units}) == 1 else units
    n = min(len(u) for u in units)
    with np.errstate(all="ignore"):
        variance = sum(u.var(ddof=1) / len(u) for u in summands) if n > 1 else math.inf
        caveat, is_finite = _reliability(units, summands) if math.isfinite(variance) else ("", False)
    error, interval = abs(slope) * math.sqrt(variance) if is_finite else None, None
    if n < FEWEST and (caveat or error is None):
        caveat = f"only {n} independent samples"
    elif n < FEWEST and error is not None:
        half = student_quantile(n - 1) * error
        interval = value - half, value + half
    elif not math.isfinite(variance):
        caveat = "a term is not finite"
    return Estimate(value, error, n, is_lower_bound, caveat, interval)


def student_quantile(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))


def tail_caveat(terms: Tensor) -> str:
    """Return why ±1.96 errors of the mean of ``terms`` [N], or of nearly one, do not hold 95 %; "" if they do."""
    units = [terms.detach().cpu().double().numpy()]
    return _reliability(units, units)[0]


def _reliability(units: list[np.ndarray], summands: list[np.ndarray]) -> tuple[str, bool]:
    """Return why the mean is not normal, "" if it is, and whether its variance looks finite.

    The coverage of a normal interval is off by the square of the mean's skewness (Hall 1988). That of a sample is
    below that of a heavy tail, so less of it is allowed there.
    """
    least = NEGLIGIBLE * sum(u.var() for u in units)
    shape = max((tail_shape(u) for u in units if u.var() > least), default=-math.inf)
    if shape >= INFINITE_VARIANCE:
        return HEAVY_TAILS, len(units[0]) < FEWEST
    if shape >= DOUBTFUL_VARIANCE:
        return HEAVY_TAILS, True
    most = MAX_HEAVY_SKEWNESS if shape > HEAVY_SHAPE else MAX_SKEWNESS
    return HEAVY_TAILS if max(map(_skewness_of_mean, summands)) > most else "", True


def _skewness_of_mean(units: np.ndarray) -> float:
    centred = units - units.mean()
    spread = math.sqrt(np.mean(centred**2)) or 1.0
    return float(abs(np.mean((centred / spread) ** 3))) / math.sqrt(len(units))


def tail_shape(units: np.ndarray) -> float:
    """Return the shape k of the Pareto distribution that fits the heavier tail of ``units`` [N]; below 1.

    Moments up to order 1/k exist. The fit is by probability-weighted moments (Hosking and Wallis 1987, eq. 8) to as
    many of the largest as in Vehtari et al. 2024, sec. 2.4.
    """
    count = int(min(len(units) / 5, 3 * math.sqrt(len(units))))
    ordered = np.sort(units)
    return max(_shape(ordered[-count - 1 :]), _shape(-ordered[count::-1]))


def _shape(largest: np.ndarray) -> float:
    # Peaks over the first one, ascending; equal values are no tail.
    peaks = largest - largest[0]
    peaks = peaks[peaks > 0]
    if len(peaks) < 5:
        return -math.inf
    weights = 1 - (np.arange(len(peaks)) + 0.5) / len(peaks)
    mean, weighted = peaks.mean(), (weights * peaks).mean()
    if mean <= 2 * weighted:
        return -math.inf
    # Few peaks know little of a tail: as if ten more were light (Vehtari et al. 2024, appendix C, with 0 for 1/2).
    return float(2 - mean / (mean - 2 * weighted)) * len(peaks) / (len(peaks) + 10)
