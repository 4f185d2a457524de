"""Differences over seeds: exact by permutations, Student's where these cannot resolve, rare where there is none."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from gantrain.reports.comparison.comparison import compare
from gantrain.reports.comparison.differences import (
    EXCHANGES,
    FLIPS,
    LEVEL,
    STUDENT,
    adjusted,
    difference,
    least_seeds,
    p_of_exchanges,
    p_of_flips,
)


def costs(values, first: int = 0) -> dict[str, float]:
    return {str(first + i): float(value) for i, value in enumerate(values)}


def test_permutation_of_signs_counts_every_arrangement():
    rng = np.random.default_rng(0)
    for n in (3, 6, 8):
        gaps = rng.normal(0.5, 1, n)
        sums = [abs(np.dot(signs, gaps)) for signs in itertools.product((1, -1), repeat=n)]
        assert p_of_flips(gaps) == pytest.approx(np.mean(np.array(sums) >= abs(gaps.sum()) - 1e-12))
    assert p_of_flips([1.0] * 6) == 2 / 64
    assert p_of_flips([0.0] * 6) == 1


def test_permutation_of_labels_counts_every_arrangement():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, 4), rng.normal(1, 2, 5)
    both, found = np.concatenate([a, b]), []
    for first in itertools.combinations(range(9), 4):
        rest = [i for i in range(9) if i not in first]
        found.append(abs(stats.ttest_ind(both[list(first)], both[rest], equal_var=False).statistic))
    observed = abs(stats.ttest_ind(a, b, equal_var=False).statistic)
    assert p_of_exchanges(a, b) == pytest.approx(np.mean(np.array(found) >= observed - 1e-9))
    assert p_of_exchanges([1.0] * 4, [1.0] * 4) == 1


@pytest.mark.parametrize("n", [25, 60])
def test_drawn_permutations_agree_with_a_normal_law(n):
    rng = np.random.default_rng(n)
    gaps = rng.normal(2 / math.sqrt(n), 1, n)
    assert p_of_flips(gaps) == pytest.approx(stats.ttest_1samp(gaps, 0).pvalue, rel=0.3, abs=0.005)
    a, b = rng.normal(size=n), rng.normal(0.4, 1, n)
    assert p_of_exchanges(a, b) == pytest.approx(stats.ttest_ind(a, b).pvalue, rel=0.2, abs=0.01)


def test_difference_of_few_seeds_is_that_of_scipy():
    rng = np.random.default_rng(0)
    for x, y in rng.normal(size=(20, 2, 5)):
        found = difference(costs(x), costs(y), pairs=6)
        assert (found.mean, found.p) == pytest.approx((x.mean() - y.mean(), stats.ttest_rel(x, y).pvalue))
        ends = stats.ttest_rel(x, y).confidence_interval()
        assert (*found.interval, found.method) == (*map(pytest.approx, ends), STUDENT)
        apart = difference(costs(x[:3]), costs(y[:3], first=9))
        assert apart.p >= stats.ttest_ind(x[:3], y[:3], equal_var=False).pvalue - 1e-12
        assert difference(costs(x), costs(y[:2])).method == ""
        assert difference(costs(x), costs(y[:2])).p == 1


@pytest.mark.parametrize(("pairs", "seeds"), [(1, 6), (3, 7), (6, 8), (15, 10)])
def test_permutation_test_begins_where_it_can_decide(pairs, seeds):
    assert least_seeds(pairs) == seeds
    assert 2 / 2**seeds <= LEVEL / pairs < 2 / 2 ** (seeds - 1)
    zeros, ones = costs([0.0] * seeds), costs(1.0 + 0.1 * np.arange(seeds))
    assert difference(zeros, ones, pairs).method == FLIPS
    assert difference(zeros, ones, pairs).p == 2 / 2**seeds
    fewer = dict(list(zeros.items())[1:])
    assert difference(fewer, ones, pairs).method == STUDENT
    assert difference(zeros, costs([*ones.values()], first=99), pairs).method == EXCHANGES


def test_holm_has_the_values_of_its_paper():
    assert adjusted([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert adjusted([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert adjusted([0.6, 0.7]) == [1.0, 1.0]
    assert adjusted([]) == []


def test_counts_equal_in_all_seeds_need_a_large_difference():
    eight, seven, one_mode = (costs([v] * 3) for v in (-8.0, -7.0, -1.0))
    assert compare([eight, seven]).places == ["1-2", "1-2"]
    assert compare([eight, one_mode]).places == ["1", "2"]
    assert difference(costs([1.0] * 3), costs([1.0] * 3), unit=1.0).p == 1


LAWS = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "shared by seed": lambda rng, shape: rng.normal(size=shape) + 2 * rng.normal(size=shape[-1:]),
    "heavy tails": lambda rng, shape: rng.standard_t(2, size=shape),
    "skewed": lambda rng, shape: rng.lognormal(0, 1, size=shape),
    "rare collapse": lambda rng, shape: np.where(rng.random(shape) < 0.2, 0.3, 0.9) + rng.normal(0, 0.02, shape),
}  # fmt: skip


CASES = [("normal", 2, 6, True), ("rare collapse", 3, 7, True), ("skewed", 2, 5, False)]
SLOW = [(law, *case) for law in LAWS for case in ((2, 6, True), (3, 7, True), (6, 10, True), (3, 5, False))]


@pytest.mark.parametrize(
    ("law", "count", "seeds", "is_paired"),
    [*CASES, *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW)],
)
def test_identical_settings_are_rarely_told_apart(law, count, seeds, is_paired):
    rng, repeats, wrong = np.random.default_rng([count, seeds, is_paired]), 200, 0
    for values in (LAWS[law](rng, (count, seeds)) for _ in range(repeats)):
        found = compare([costs(line, 0 if is_paired else 100 * i) for i, line in enumerate(values)])
        wrong += len(set(found.groups)) > 1
    # The rate is at most 0.05: more than 16 of 200 would have a probability of 3 %.
    assert wrong <= 16


# divergence/js_refit of seven seeds on the ring, 1,000 steps: docs/sweeps.md.
STORED = {
    "non_saturating": [0.31936113, 0.44571084, 0.47093133, 0.58382171, 0.68522115, 0.62642503, 0.69314702],
    "hinge": [0.42369802, 0.40697709, 0.60108339, 0.65052958, 0.69314705, 0.54656301, 0.69314679],
    "wasserstein": [0.69314715, 0.68718524, 0.69314696, 0.69031665, 0.6931471, 0.69314702, 0.69314706],
}


@pytest.mark.parametrize("name", STORED)
@pytest.mark.parametrize("seeds", [3, 7])
def test_stored_runs_under_two_names_are_rarely_told_apart(name, seeds):
    rng, wrong = np.random.default_rng(seeds), 0
    for _ in range(200):
        twice = [costs(rng.choice(STORED[name], seeds)) for _ in range(2)]
        wrong += len(set(compare(twice).groups)) > 1
    assert wrong <= 16


def test_stored_runs_are_told_apart_as_the_page_says():
    found = compare([costs(values) for values in STORED.values()])
    assert found.groups == ["a", "a", "b"]
    assert found.p_values[0, 1] == pytest.approx(0.41, abs=0.005)
    assert found.p_values[0, 2] == 3 * 2 / 2**7
    assert (found.more_seeds((0, 1)), found.improvement(1)) == (59, pytest.approx(0.45, abs=0.01))


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "least"), [(3, 0.03), (5, 0.03), (6, 0.02), (12, 0.03)])
def test_identical_settings_differ_as_often_as_the_level_says(seeds, least):
    rng, repeats = np.random.default_rng(seeds), 3000
    found = [compare([costs(line) for line in rng.normal(size=(2, seeds))]) for _ in range(repeats)]
    rate = sum(len(set(one.groups)) > 1 for one in found) / repeats
    assert least <= rate <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / repeats)
