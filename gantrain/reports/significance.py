"""Which settings their seeds tell apart: paired t tests, corrected for their number, as intervals of ranks."""

import functools
import itertools
import math
import statistics
from collections.abc import Mapping, Sequence

LEVEL = 0.05  # the probability that any two settings are told apart that do not differ
MIN_SEEDS = (
    3  # of two nothing can be said: the 95 % interval of their mean is 13 standard errors to each side
)
MAX_SETTINGS = 100  # that are compared in pairs

Costs = Mapping[str, float]  # of a setting, by seed


def t_tail(t: float, df: int) -> float:
    """Return the probability that |T| exceeds t >= 0, with ``df`` degrees of freedom (Abramowitz, Stegun 26.7.3-4)."""
    if math.isinf(t):
        return 0.0
    theta, odd = math.atan2(t, math.sqrt(df)), df % 2
    term, total = (math.cos(theta) if odd else 1.0), 0.0
    for k in range(2 + odd, df + 1, 2):
        total += term
        term *= (k - 1) / k * math.cos(theta) ** 2
    inside = 2 / math.pi * (theta + math.sin(theta) * total) if odd else math.sin(theta) * total
    return max(0.0, 1.0 - inside)


@functools.cache
def t_quantile(df: int, level: float = LEVEL) -> float:
    """Return the t that |T| exceeds with probability ``level``, by bisection."""
    low, high = 0.0, 1.0
    while t_tail(high, df) > level:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if t_tail(middle, df) > level else (low, middle)
    return high


def half_interval(values: Sequence[float]) -> float | None:
    """Return half the 95 % interval of the mean of values; None for fewer than ``MIN_SEEDS``."""
    n = len(values)
    return None if n < MIN_SEEDS else t_quantile(n - 1) * statistics.stdev(values) / math.sqrt(n)


def resolution(settings: Sequence[Costs]) -> float:
    """Return the unit in which costs are counted: 1 for integers, else the smallest difference of two of them.

    Counts may be equal in all seeds by chance, which a continuous number never is.
    """
    values = sorted({value for costs in settings for value in costs.values()})
    if all(value.is_integer() for value in values):
        return 1.0
    return min((b - a for a, b in itertools.pairwise(values)), default=0.0)


def difference(a: Costs, b: Costs, unit: float = 0.0) -> tuple[float, float]:
    """Return the mean difference and the two-sided p of none: paired by seed, or of two means if few seeds are shared.

    The latter by Hsu's degrees of freedom (1938), which hold for unequal variances. p is 1 where either way has fewer
    than ``MIN_SEEDS``. ``unit`` bounds the variance of costs from below, by that of rounding to it.
    """
    shared = a.keys() & b.keys()
    if len(shared) >= MIN_SEEDS:
        mean, variance = _moments([a[seed] - b[seed] for seed in shared])
        square, df = max(variance, unit**2 / 6) / len(shared), len(shared) - 1
    elif min(len(a), len(b)) >= MIN_SEEDS:
        df = min(len(a), len(b)) - 1
        moments = [(len(costs), *_moments([*costs.values()])) for costs in (a, b)]
        mean = moments[0][1] - moments[1][1]
        square = sum(max(variance, unit**2 / 12) / n for n, _, variance in moments)
    else:
        return 0.0, 1.0
    if mean == 0:
        return 0.0, 1.0
    return mean, t_tail(abs(mean) / math.sqrt(square), df) if square > 0 else 0.0


def _moments(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and variance of values that are counted by their number less 1."""
    mean = math.fsum(values) / len(values)
    return mean, math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


def holm(p_values: Sequence[float], level: float = LEVEL) -> list[bool]:
    """Return which hypotheses fall so that any true one does with probability <= ``level`` (Holm 1979)."""
    falls = [False] * len(p_values)
    for done, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[i] > level / (len(p_values) - done):
            break
        falls[i] = True
    return falls


def rank_intervals(settings: Sequence[Costs]) -> list[tuple[int, int]]:
    """Return between which places each setting is, all at once with probability 95 % (Mogstad et al. 2024).

    A setting's best place is 1 more than the settings that are better for sure, by Holm's correction over all pairs.
    """
    best, worst = [1] * len(settings), [len(settings)] * len(settings)
    if len(settings) > MAX_SETTINGS:
        return list(zip(best, worst, strict=True))
    unit, pairs = resolution(settings), list(itertools.combinations(range(len(settings)), 2))
    found = [difference(settings[i], settings[j], unit) for i, j in pairs]
    falls = holm([p for _, p in found])
    for (i, j), (mean, _) in itertools.compress(zip(pairs, found, strict=True), falls):
        less, more = (i, j) if mean < 0 else (j, i)
        best[more] += 1
        worst[less] -= 1
    return list(zip(best, worst, strict=True))
