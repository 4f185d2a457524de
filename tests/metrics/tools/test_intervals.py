"""Intervals that are not symmetric: exact ones of shares, and those of squares, by the laws of what they are for."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from gantrain.metrics.tools.errors import clustered_share_error, share_error
from gantrain.metrics.tools.intervals import SquaredSpread, share_interval


@pytest.mark.parametrize("n", [30, 300, 2500])
def test_no_hit_of_n_has_the_rule_of_three(n):
    low, high = share_interval(0.0, n)
    assert low == 0
    assert high == pytest.approx(1 - 0.05 ** (1 / n))
    assert high == pytest.approx(3 / n, rel=0.06)
    assert share_interval(1.0, n) == pytest.approx((1 - high, 1.0))


@pytest.mark.parametrize("n", [30, 300, 2500])
def test_share_interval_holds_the_probability_in_0_93_to_0_97(n):
    """Over all probabilities, whose coverage jumps: on average, in all but a few, and in none below 0.91."""
    most = min(n, 60)
    ends = np.array([share_interval(hits / n, n) for hits in range(most + 1)])
    probabilities = np.linspace(0.2 / n, min(0.5, 20 / n), 200)
    chances = binom.pmf(np.arange(most + 1)[:, None], n, probabilities)
    is_inside = (ends[:, :1] <= probabilities) & (probabilities <= ends[:, 1:])
    covered = (chances * is_inside).sum(0)
    assert 0.94 < covered.mean() < 0.97
    assert covered.min() > 0.91
    assert np.mean(covered < 0.93) < 0.02


def test_share_interval_far_from_its_ends_is_1_96_errors():
    low, high = share_interval(0.5, 10_000)
    assert (low, high) == pytest.approx((0.5 - 1.96 * 0.005, 0.5 + 1.96 * 0.005), abs=1e-5)


def test_clusters_count_as_fewer_samples():
    plain = share_error(0.9, 300)
    assert clustered_share_error(0.9, 300, float(plain)).interval == pytest.approx(plain.interval, abs=1e-9)
    assert clustered_share_error(0.9, 300, 2 * plain).interval == pytest.approx(
        share_interval(0.9, 75), abs=0.01
    )
    assert clustered_share_error(1.0, 300, 0.0).interval == share_interval(1.0, 300)
    assert "independent samples" in clustered_share_error(0.3, 300, 0.2, fewest=30).caveat


@pytest.mark.parametrize(("freedom", "excess"), [(1, 0), (1, 4), (8, 0), (8, 20), (500, 30), (8, 2000)])
def test_squared_interval_holds_what_squares_exceed_by_chance(freedom, excess):
    """Readings are 0.3 (chi-squared - freedom): their linear variance is 4 times 0.3 times the expectation."""
    rng, truth, inside, repetitions = np.random.default_rng(0), 0.3 * excess, 0, 400
    for _ in range(repetitions):
        drawn = rng.noncentral_chisquare(freedom, excess) if excess else rng.chisquare(freedom)
        value = 0.3 * (drawn - freedom)
        spread = SquaredSpread(linear=1.2 * truth, quadratic=0.18 * freedom, scale=0.3)
        low, high = spread.error_of(value + 7, bias=7.0).interval or (
            value + 7 - 1.96 * spread.error,
            value + 7 + 1.96 * spread.error,
        )
        assert low <= value + 7 <= high
        inside += low <= truth + 7 + 1e-9 and truth + 7 <= high
    assert 0.925 < inside / repetitions < 0.99


def test_mean_of_spreads_is_that_of_independent_readings():
    one = SquaredSpread(linear=0.3, quadratic=0.1, scale=0.2)
    mean = SquaredSpread.of_mean([one] * 4)
    assert (mean.linear, mean.quadratic, mean.scale) == pytest.approx((0.075, 0.025, 0.05))
    assert mean.error == pytest.approx(one.error / 2)


def test_spread_with_a_caveat_has_no_interval():
    found = SquaredSpread(0.1, 0.1, 0.1, "heavy tails").error_of(0.2)
    assert (found.caveat, found.interval) == ("heavy tails", None)
    assert float(SquaredSpread(0.0, 0.0, 0.0).error_of(0.0)) == 0
    assert math.isfinite(SquaredSpread(0.0, 1e-12, 1e-7).error_of(-1e-7).interval[1])
