"""The number of seeds that decides a pair does so with the probability that it states."""

import numpy as np
import pytest
from scipy import special

from gantrain.reports.comparison.comparison import compare
from gantrain.reports.comparison.differences import LEVEL, Difference, difference
from gantrain.reports.comparison.power import MAX_SEEDS, POWER, power_of_t, seeds_needed


def costs(values, first: int = 0) -> dict[str, float]:
    return {str(first + i): float(value) for i, value in enumerate(values)}


def test_power_of_t_is_that_of_the_noncentral_law():
    for n in (3, 5, 20):
        for effect in (0.1, 1.0, 3.0):
            quantile = special.stdtrit(n - 1, 1 - 0.01 / 2)
            exact = 1 - special.ncfdtr(1, n - 1, n * effect**2, quantile**2)
            assert power_of_t(effect, n, 0.01) == pytest.approx(exact, abs=3e-3)


def found(effect: float, is_paired: bool = True) -> Difference:
    return Difference(effect, 1.0, 3, 1.0, "any", is_paired)


CASES = [(1, 1, 1.0, True), (6, 6, 1.5, True), (15, 15, 2.0, True)]
SLOW = [(1, 1, 3.0), (3, 3, 2.0), (6, 6, 1.5), (15, 15, 1.5), (15, 3, 1.2), (6, 2, 0.8)]


@pytest.mark.parametrize(
    ("pairs", "still_open", "effect", "is_paired"),
    [*CASES, *(pytest.param(*case, own, marks=pytest.mark.slow) for case in SLOW for own in (True, False))],
)
def test_more_seeds_decide_as_often_as_they_promise(pairs, still_open, effect, is_paired):
    rng, repeats = np.random.default_rng([pairs, still_open]), 120
    seeds = seeds_needed(found(effect, is_paired), pairs, still_open)
    for n in (seeds, seeds + 2):  # one more never takes the decision away
        decided = 0
        for x, y in rng.normal(scale=2**-0.5, size=(repeats, 2, n)):
            one = difference(costs(x + effect), costs(y, 0 if is_paired else 500), pairs)
            decided += one.p <= LEVEL / still_open
        assert decided / repeats >= POWER - 0.06  # two standard errors of 120 repeats below


def test_seeds_are_not_many_more_than_it_takes():
    assert seeds_needed(found(1.0), 1, 1) <= 12  # Student's t takes 10
    assert seeds_needed(found(0.5), 1, 1) <= 36  # and 34
    assert seeds_needed(found(5.0), 1, 1) == 3


def test_more_seeds_than_anybody_runs_are_not_counted():
    assert seeds_needed(found(0.0), 1, 1) is None
    assert seeds_needed(found(0.01), 1, 1) is None
    assert seeds_needed(found(0.15), 1, 1) < MAX_SEEDS
    alike = compare([costs([0.1, 0.2, 0.3])] * 2)
    assert alike.more_seeds_text((0, 1)) == "never"
    near = compare([costs([0.1, 0.2, 0.3]), costs([0.2, 0.3, 0.1001])])
    assert near.more_seeds_text((0, 1)) == "over 1,000"
    apart = compare([costs([0.1, 0.2, 0.3]), costs([9.1, 9.2, 9.3001])])
    assert apart.more_seeds_text((0, 1)) == ""
    few = compare([costs([0.1, 0.2]), costs([0.3, 0.4])])
    assert few.more_seeds_text((0, 1)) == ""


def test_more_seeds_are_counted_from_those_that_ran():
    one = compare([costs([0.0, 0.5, 0.1, 0.2]), costs([0.4, 0.3, 0.6, 0.2])])
    pair = one.differences[0, 1]
    assert one.more_seeds((0, 1)) == seeds_needed(pair, 1, 1) - 4 > 0
