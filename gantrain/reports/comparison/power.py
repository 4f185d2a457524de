"""How many seeds tell two settings apart, from the difference and the spread of those that were run."""

from __future__ import annotations

import math

from gantrain.reports.comparison.differences import LEVEL, Difference, least_seeds
from gantrain.reports.comparison.intervals import MIN_SEEDS

POWER = 0.8  # the probability with which the number of seeds decides
MAX_SEEDS = 1000
FLIPS_NEED = 2  # seeds that a permutation test needs more than Student's t, at most


def power_of_t(effect: float, n: int, level: float) -> float:
    """Return the probability that Student's two-sided t test of n seeds finds a difference.

    Args:
        effect: The difference, in standard deviations of that of one seed.
        n: Seeds of each setting.
        level: At which the test rejects.
    """
    import numpy
    from scipy.special import gammaincinv, ndtr, stdtrit

    df, shift = n - 1, abs(effect) * math.sqrt(n)
    # The mean over quantiles of the estimated standard deviation: SciPy's noncentral t has gaps.
    spread = numpy.sqrt(2 / df * gammaincinv(df / 2, (numpy.arange(400) + 0.5) / 400))
    bound = float(stdtrit(df, 1 - level / 2)) * spread
    return float((ndtr(shift - bound) + ndtr(-shift - bound)).mean())


def seeds_needed(found: Difference, pairs: int, open_pairs: int) -> int | None:
    """Return with how many seeds a pair is decided with probability 80 %; None for more than ``MAX_SEEDS``, or never.

    As if the difference and the spread of the seeds so far were the true ones. Any larger number decides as well.

    Args:
        found: The difference of a pair.
        pairs: All pairs that are compared, which decide the test.
        open_pairs: Those that are not told apart so far: Holm's correction allows for these.
    """
    if found.mean == 0 or found.sd == 0 or not math.isfinite(found.mean / found.sd):
        return None
    effect, level = found.mean / found.sd, LEVEL / max(open_pairs, 1)
    if power_of_t(effect, MAX_SEEDS, level) < POWER:
        return None
    low, high = MIN_SEEDS - 1, MAX_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of_t(effect, middle, level) >= POWER else (middle, high)
    # From so many seeds on the test is by permutation.
    resolved = least_seeds(pairs, found.is_paired)
    return high + FLIPS_NEED if high + FLIPS_NEED > resolved else high
