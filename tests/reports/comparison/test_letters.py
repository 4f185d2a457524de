"""Letters by the definition: two settings share one if and only if they are not told apart."""

import itertools

import numpy as np
import pytest

from gantrain.reports.comparison.comparison import compare
from gantrain.reports.comparison.letters import MAX_LETTERS, letters, place_texts, rank_intervals


def test_letters_of_the_examples():
    assert letters(3, []) == ["a", "a", "a"]
    assert letters(3, [(0, 1), (0, 2), (1, 2)]) == ["a", "b", "c"]
    assert letters(3, [(0, 2)]) == ["a", "ab", "b"]
    assert letters(4, [(0, 3), (1, 3), (0, 2)]) == ["a", "ab", "bc", "c"]
    assert letters(1, []) == ["a"]


def test_letters_are_shared_by_those_not_told_apart_alone():
    rng = np.random.default_rng(0)
    for count in range(2, 10):
        pairs = list(itertools.combinations(range(count), 2))
        for share in (0.1, 0.4, 0.8):
            differing = {pair for pair in pairs if rng.random() < share}
            found = letters(count, differing)
            assert all(found)
            assert found[0][0] == "a"
            assert {(i, j) for i, j in pairs if not set(found[i]) & set(found[j])} == differing


def test_letters_are_as_few_as_an_order_needs():
    """Settings in a row, each unlike those three or more places on, need one letter for each window of three."""
    count = 12
    differing = [(i, j) for i, j in itertools.combinations(range(count), 2) if j - i > 2]
    found = letters(count, differing)
    assert len(set("".join(found))) == count - 2
    assert max(map(len, found)) == 3


def test_letters_stop_where_the_alphabet_ends():
    count = 2 * (MAX_LETTERS + 1)
    everything = list(itertools.combinations(range(count), 2))
    assert letters(count, everything) == [""] * count
    assert letters(24, [(i, i + 1) for i in range(0, 24, 2)]) == [""] * 24  # of 4,096 columns


def test_rank_intervals_hold_each_setting_that_may_be_there():
    assert rank_intervals(3, [(0, 2), (1, 2)]) == [(1, 2), (1, 2), (3, 3)]
    assert place_texts([(1, 2), (3, 3)]) == ["1-2", "3"]


@pytest.mark.parametrize("seeds", [5, 9])
def test_comparison_says_the_same_in_letters_places_and_p(seeds):
    rng = np.random.default_rng(seeds)
    values = rng.normal(size=(5, seeds)) * 0.3 + np.array([[0.0], [0.1], [0.6], [2.0], [2.1]])
    found = compare([{str(i): v for i, v in enumerate(line)} for line in values.tolist()])
    for i, j in found.differences:
        shares = bool(set(found.groups[i]) & set(found.groups[j]))
        assert shares == (found.p_values[i, j] > 0.05) == found.is_open((i, j))
    assert found.groups[0] == "a"
    assert not set("a") & set(found.groups[3])
    assert found.places[4][-1] == "5"
