"""Intervals over seeds hold the average as often as they say."""

import math
import statistics

import numpy as np
import pytest
from scipy import stats

from gantrain.reports.comparison.intervals import (
    BOOTSTRAP_SEEDS,
    MIN_SEEDS,
    improvement,
    interquartile_interval,
    interquartile_mean,
    mean_estimate,
    mean_interval,
)


def test_interval_of_few_seeds_is_students():
    values = [0.1, 0.5, 0.2, 0.9]
    low, high = stats.t.interval(0.95, 3, statistics.fmean(values), stats.sem(values))
    assert mean_interval(values) == pytest.approx((low, high))
    assert mean_interval(values[: MIN_SEEDS - 1]) == (None, None)
    assert interquartile_interval(values) == (None, None)
    known = mean_estimate(values)
    assert (float(known), known.low, known.high) == pytest.approx((0.425, low, high))


def test_interval_of_many_seeds_lies_within_them_and_is_lopsided():
    values = np.random.default_rng(0).lognormal(0, 1, BOOTSTRAP_SEEDS + 4).tolist()
    low, high = mean_interval(values)
    mean = statistics.fmean(values)
    assert min(values) <= low < mean < high <= max(values)
    assert high - mean > 1.2 * (mean - low)
    assert mean_interval(values) == (low, high)  # the resamples are the same each time


LAWS = {"normal": (lambda rng, n: rng.normal(size=n), 0.0), "uniform": (lambda rng, n: rng.random(n), 0.5)}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("seeds", [5, 8, 12])
def test_interval_holds_the_mean_in_95_of_100_repetitions(law, seeds):
    draw, truth = LAWS[law]
    rng, repeats, held = np.random.default_rng(seeds), 300, 0
    for _ in range(repeats):
        low, high = mean_interval(draw(rng, seeds))
        held += low <= truth <= high
    assert 0.90 <= held / repeats <= 0.985


def test_interquartile_mean_is_that_of_the_middle_half():
    values = [1.0, 2, 3, 4, 5, 6, 7, 100]
    assert interquartile_mean(values) == stats.trim_mean(values, 0.25) == 4.5
    assert interquartile_mean([3.0, 1.0]) == 2.0
    rng, held = np.random.default_rng(0), 0
    for _ in range(200):
        low, high = interquartile_interval(rng.normal(size=12))
        held += low <= 0 <= high
    assert 0.89 <= held / 200 <= 0.99


def test_improvement_is_the_share_of_better_seeds():
    assert improvement([0.0, 1.0], [2.0, 3.0]) == 1
    assert improvement([1.0], [1.0]) == 0.5
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=7), rng.normal(size=9)
    u = stats.mannwhitneyu(b, a).statistic  # pairs in which b is larger
    assert improvement(a, b) == pytest.approx(u / 63)
    assert math.isclose(improvement(a, b) + improvement(b, a), 1)
