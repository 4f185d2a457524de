"""Averages over seeds with their 95 % intervals: Student's t of few seeds, a bootstrap of more."""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Sequence
from typing import Any

from gantrain.core.estimate import Z95, Estimate

MIN_SEEDS = (
    3  # of two nothing can be said: the 95 % interval of their mean is 13 standard errors to each side
)
BOOTSTRAP_SEEDS = 8  # of fewer the resampled means do not reach as far as a 95 % interval has to
RESAMPLES = 10_000


@functools.cache
def half_width(n: int) -> float:
    """Return half the 95 % interval of the mean of n values, in standard errors (Student 1908)."""
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, 0.975))


@functools.cache
def _resample(n: int, stream: int) -> Any:
    """Return which of n seeds each resample has, [resamples, n]."""
    import numpy

    return numpy.random.default_rng([n, stream]).integers(0, n, size=(RESAMPLES, n))


def _tail(n: int) -> float:
    """Return which part of resampled averages lies outside the interval at each end, less than 2.5 %.

    Means of resamples spread less than means of new seeds, by the factor sqrt((n - 1) / n), and the normal's quantile
    is less than Student's; both are put right here (Hesterberg 2015, the expanded percentile interval).
    """
    from scipy.special import ndtr

    return float(ndtr(-math.sqrt(n / (n - 1)) * half_width(n)))


def resampled_means(values: Sequence[float], stream: int = 0) -> tuple[Any, float] | None:
    """Return the means of resampled seeds, and the part outside the interval at each end; None for few seeds.

    ``stream`` tells strata apart, which are resampled independently.
    """
    import numpy

    n = len(values)
    if n < BOOTSTRAP_SEEDS:
        return None
    return numpy.asarray(values)[_resample(n, stream)].mean(1), _tail(n)


def mean_interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Return the 95 % interval of the mean over seeds; (None, None) for fewer than ``MIN_SEEDS``."""
    import numpy

    n = len(values)
    if n < MIN_SEEDS:
        return None, None
    found = resampled_means(values)
    if found is None:
        mean, half = statistics.fmean(values), half_width(n) * statistics.stdev(values) / math.sqrt(n)
        return mean - half, mean + half
    means, tail = found
    low, high = numpy.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def mean_estimate(values: Sequence[float]) -> Estimate:
    """Return the mean over seeds with the ends of its 95 % interval."""
    return _estimate(statistics.fmean(values), mean_interval(values), len(values))


def interquartile_estimate(values: Sequence[float]) -> Estimate:
    """Return the interquartile mean over seeds with the ends of its 95 % interval."""
    return _estimate(interquartile_mean(values), interquartile_interval(values), len(values))


def _estimate(value: float, interval: tuple[float | None, float | None], n: int) -> Estimate:
    low, high = interval
    error = None if low is None or high is None else (high - low) / (2 * Z95)
    return Estimate(value, error, n, interval=interval)


def interquartile_mean(values: Sequence[float]) -> float:
    """Return the mean without the lowest and the highest quarter of values, rounded down (Agarwal et al. 2021)."""
    cut = len(values) // 4
    return statistics.fmean(sorted(values)[cut : len(values) - cut])


def interquartile_interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Return the 95 % bootstrap interval of the interquartile mean; (None, None) for few seeds."""
    import numpy

    n = len(values)
    if n < BOOTSTRAP_SEEDS:
        return None, None
    resampled = numpy.sort(numpy.asarray(values)[_resample(n, 0)], axis=1)
    means = resampled[:, n // 4 : n - n // 4].mean(1)
    low, high = numpy.quantile(means, [_tail(n), 1 - _tail(n)])
    return float(low), float(high)


def improvement(costs: Sequence[float], others: Sequence[float]) -> float:
    """Return the probability that a seed of the first costs less than one of the others; equal ones count half."""
    less = sum((a < b) + 0.5 * (a == b) for a in costs for b in others)
    return less / (len(costs) * len(others))
