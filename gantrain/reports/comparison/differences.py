"""Whether two settings differ in their costs over seeds: by permutations, or Student's t of too few seeds for these."""

from __future__ import annotations

import functools
import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gantrain.reports.comparison.intervals import MIN_SEEDS, half_width, mean_interval, resampled_means

LEVEL = 0.05  # the probability that any two settings are told apart that do not differ
MAX_FLIPS, MAX_EXCHANGES = 2**16, 2**14  # more arrangements are not counted, but so many are drawn
FLIPS, EXCHANGES, STUDENT = "sign flips", "exchanges", "Student's t"  # the tests

Costs = Mapping[str, float]  # of a setting, by seed


@dataclass(frozen=True)
class Difference:
    """The difference of two settings' costs.

    Attributes:
        mean: The first minus the second; lower is better.
        sd: The standard deviation over seeds of that difference; of separate seeds the root of both variances' sum.
        seeds: That are paired, or those of the setting with fewer.
        p: Two-sided, of no difference; 1 where there are fewer than ``MIN_SEEDS``.
        method: The test; "" where there is none.
        is_paired: Whether the settings share their seeds.
        costs: The differences of paired seeds, or the costs of each setting.
    """

    mean: float
    sd: float
    seeds: int
    p: float
    method: str
    is_paired: bool
    costs: tuple[Sequence[float], ...] = ()

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """The ends of the 95 % interval of the mean; None without a test."""
        if len(self.costs) == 2:
            return _interval_of_separate(*self.costs)
        low, high = mean_interval(self.costs[0]) if self.costs else (None, None)
        return None if low is None or high is None else (low, high)


def resolution(settings: Sequence[Costs]) -> float:
    """Return the unit in which costs are counted: 1 for integers, else the smallest difference of two of them.

    Counts may be equal in all seeds by chance, which a continuous number never is.
    """
    values = sorted({value for costs in settings for value in costs.values()})
    if all(value.is_integer() for value in values):
        return 1.0
    return min((b - a for a, b in itertools.pairwise(values)), default=0.0)


def least_seeds(pairs: int, is_paired: bool = True) -> int:
    """Return how many seeds a permutation test needs so that its least p, 2 of all arrangements, can decide a pair.

    Args:
        pairs: Of settings, for which Holm's correction allows.
        is_paired: Whether the settings share their seeds.
    """
    n = MIN_SEEDS
    while 2 / (2**n if is_paired else math.comb(2 * n, n)) > LEVEL / pairs:
        n += 1
    return n


def is_testable(a: Costs, b: Costs) -> bool:
    """Return whether two settings have seeds enough for a test."""
    return min(len(a), len(b)) >= MIN_SEEDS


def _resolves(arrangements: int, most: int, pairs: int) -> bool:
    """Return whether a test by so many arrangements, or ``most`` that are drawn, can decide one of so many pairs."""
    least = 2 / arrangements if arrangements <= most else 20 / most
    return least <= LEVEL / pairs


def difference(a: Costs, b: Costs, pairs: int = 1, unit: float = 0.0) -> Difference:
    """Return the difference of two settings, paired by seed, or of two means where few seeds are shared.

    Args:
        a: Costs of the first.
        b: Costs of the second.
        pairs: How many are compared: they decide whether a permutation test can resolve, never the data.
        unit: Bounds the variance of costs from below, by that of rounding to it.
    """
    shared = sorted(a.keys() & b.keys())
    if len(shared) >= MIN_SEEDS:
        return _paired_difference([a[seed] - b[seed] for seed in shared], pairs, unit)
    if is_testable(a, b):
        return _separate_difference([*a.values()], [*b.values()], pairs, unit)
    return Difference(0.0, 0.0, min(len(a), len(b)), 1.0, "", is_paired=bool(shared))


def _paired_difference(gaps: Sequence[float], pairs: int, unit: float) -> Difference:
    n, mean = len(gaps), statistics.fmean(gaps)
    sd = math.sqrt(max(statistics.variance(gaps), unit**2 / 6))
    if _resolves(2**n, 2 * MAX_FLIPS, pairs):
        return Difference(mean, sd, n, p_of_flips(gaps), FLIPS, True, (gaps,))
    return Difference(mean, sd, n, p_of_t(mean, sd / math.sqrt(n), n - 1), STUDENT, True, (gaps,))


def _separate_difference(a: Sequence[float], b: Sequence[float], pairs: int, unit: float) -> Difference:
    n = min(len(a), len(b))
    mean = statistics.fmean(a) - statistics.fmean(b)
    spreads = [max(statistics.variance(values), unit**2 / 12) for values in (a, b)]
    sd, error = math.sqrt(sum(spreads)), math.sqrt(spreads[0] / len(a) + spreads[1] / len(b))
    if _resolves(math.comb(len(a) + len(b), n), MAX_EXCHANGES, pairs):
        return Difference(mean, sd, n, p_of_exchanges(a, b), EXCHANGES, False, (a, b))
    # Hsu's degrees of freedom (1938), which hold for unequal variances.
    return Difference(mean, sd, n, p_of_t(mean, error, n - 1), STUDENT, False, (a, b))


def _interval_of_separate(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of a difference of means: each setting is a stratum, resampled on its own."""
    import numpy

    first, second = resampled_means(a), resampled_means(b, stream=1)
    if first is None or second is None:
        error = math.sqrt(sum(statistics.variance(values) / len(values) for values in (a, b)))
        mean, half = statistics.fmean(a) - statistics.fmean(b), half_width(min(len(a), len(b))) * error
        return mean - half, mean + half
    tail = min(first[1], second[1])
    low, high = numpy.quantile(first[0] - second[0], [tail, 1 - tail])
    return float(low), float(high)


def p_of_t(mean: float, error: float, df: int) -> float:
    """Return the two-sided p of a mean with its standard error by Student's t."""
    from scipy.special import stdtr

    if mean == 0:
        return 1.0
    return float(2 * stdtr(df, -abs(mean) / error)) if error > 0 else 0.0


def p_of_flips(gaps: Sequence[float]) -> float:
    """Return the two-sided p of differences that are symmetric about 0, by flipping their signs (Fisher 1935).

    Exact: the share of all arrangements of signs with a mean as far from 0; of drawn ones where these are too many.
    """
    import numpy

    values = numpy.asarray(gaps)
    sums = numpy.abs(flips(len(values)) @ values)
    return _share(sums, abs(values.sum()), is_exact=2 ** (len(values) - 1) <= MAX_FLIPS)


def p_of_exchanges(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the two-sided p of two samples of one law, by exchanging their labels; the statistic is Welch's t.

    Exact, or of drawn arrangements where all are too many; studentised, it also holds in large samples of unequal
    variances (Janssen 1997).
    """
    import numpy

    values, n = numpy.asarray([*a, *b]), len(a)
    table, is_exact = exchanges(len(a), len(b))
    t = _welch(values[table], n)
    return _share(t, _welch(values[None], n)[0], is_exact)


def _welch(values: Any, n: int) -> Any:
    """Return |t| of each row, whose first ``n`` values are the first sample; 0 for rows of equal values."""
    import numpy

    a, b = values[:, :n], values[:, n:]
    error = numpy.sqrt(a.var(1, ddof=1) / n + b.var(1, ddof=1) / b.shape[1])
    gap = numpy.abs(a.mean(1) - b.mean(1))
    with numpy.errstate(divide="ignore", invalid="ignore"):
        return numpy.where(gap > 0, gap / error, 0.0)


def _share(found: Any, observed: float, is_exact: bool) -> float:
    """Return the share of arrangements as extreme as that which was observed, which counts among drawn ones."""
    as_extreme = int((found >= observed * (1 - 1e-9)).sum())
    return as_extreme / len(found) if is_exact else (as_extreme + 1) / (len(found) + 1)


@functools.cache
def flips(n: int) -> Any:
    """Return arrangements of n signs, [arrangements, n]: half of all, which the others mirror, or drawn ones."""
    import numpy

    if 2 ** (n - 1) <= MAX_FLIPS:
        numbers = numpy.arange(2 ** (n - 1))[:, None]
        return 1.0 - 2.0 * ((numbers >> numpy.arange(n)) & 1)
    return numpy.random.default_rng(n).choice([-1.0, 1.0], size=(MAX_FLIPS, n))


@functools.cache
def exchanges(n: int, m: int) -> tuple[Any, bool]:
    """Return orders of n + m values, [orders, n + m], one for each choice of the first n, and whether these are all."""
    import numpy

    is_exact = math.comb(n + m, n) <= MAX_EXCHANGES
    if not is_exact:
        rng = numpy.random.default_rng([n, m])
        return rng.random((MAX_EXCHANGES, n + m)).argsort(1), False
    first = numpy.array(list(itertools.combinations(range(n + m), n)))
    is_first = numpy.zeros((len(first), n + m), dtype=bool)
    numpy.put_along_axis(is_first, first, True, axis=1)
    return numpy.argsort(~is_first, axis=1, kind="stable"), True


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Return p-values that may be compared with the level one by one, however many there are (Holm 1979)."""
    found, largest = [1.0] * len(p_values), 0.0
    for done, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - done) * p_values[i]))
        found[i] = largest
    return found
