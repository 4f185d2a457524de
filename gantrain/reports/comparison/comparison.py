"""One comparison of settings by their costs over seeds, which every table prints."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from gantrain.core.text import count
from gantrain.reports.comparison.differences import (
    LEVEL,
    STUDENT,
    Costs,
    Difference,
    adjusted,
    difference,
    is_testable,
    least_seeds,
    resolution,
)
from gantrain.reports.comparison.intervals import improvement
from gantrain.reports.comparison.letters import Pair, letters, place_texts, rank_intervals
from gantrain.reports.comparison.power import MAX_SEEDS, seeds_needed

MAX_SETTINGS = 100  # that are compared in pairs


@dataclass(frozen=True)
class Comparison:
    """What the seeds decide about settings, which are numbered best first.

    Attributes:
        settings: The costs of each.
        differences: Of each pair, the first being the one with the lower number.
        p_values: Of each pair, with Holm's correction.
        groups: The letters of each; two settings share one if and only if they are not told apart.
        places: That each may have, as "1" or "1-3".
    """

    settings: tuple[Costs, ...]
    differences: dict[Pair, Difference]
    p_values: dict[Pair, float]
    groups: list[str]
    places: list[str]

    def is_open(self, pair: Pair) -> bool:
        """Return whether two settings are not told apart."""
        return self.p_values[pair] > LEVEL

    @property
    def testable_pairs(self) -> list[Pair]:
        """The pairs with seeds enough."""
        return [pair for pair, found in self.differences.items() if found.method]

    def improvement(self, setting: int, other: int = 0) -> float:
        """Return the probability that a seed of a setting is better than one of another, by default of the best."""
        return improvement([*self.settings[setting].values()], [*self.settings[other].values()])

    def more_seeds(self, pair: Pair) -> int | None:
        """Return how many seeds more would tell an open pair apart; None for over ``MAX_SEEDS``, or never."""
        found, still_open = self.differences[pair], sum(map(self.is_open, self.testable_pairs))
        needed = seeds_needed(found, len(self.testable_pairs), still_open)
        return None if needed is None else max(1, needed - found.seeds)

    def more_seeds_text(self, pair: Pair) -> str:
        """Return the same in words; "" for a pair that is told apart, or has too few seeds to say anything."""
        found = self.differences[pair]
        if not self.is_open(pair) or not found.method:
            return ""
        more = self.more_seeds(pair)
        return f"+{more:,}" if more is not None else "never" if found.mean == 0 else f"over {MAX_SEEDS:,}"

    @property
    def method(self) -> str:
        """How pairs were tested, in words, with what a permutation test would take where there was none."""
        pairs, texts = len(self.testable_pairs), []
        used = {(one.method, one.is_paired): one.seeds for one in self.differences.values() if one.method}
        for (name, is_paired), seeds in used.items():
            paired = "paired by seed" if is_paired else "of separate seeds"
            texts.append(f"{name if name == STUDENT else f'permutation test by {name}'}, {paired}")
            least = least_seeds(pairs, is_paired)
            if name == STUDENT and seeds < least:
                texts.append(f"since a permutation test of {count(pairs, 'pair')} takes {least} seeds")
        return f"{', '.join(texts)}; 5 % with Holm's correction"


def compare(settings: Sequence[Costs]) -> Comparison:
    """Return what seeds decide about at most ``MAX_SETTINGS`` settings, given best first."""
    return _compare(tuple(tuple(sorted(costs.items())) for costs in settings))


@functools.lru_cache(maxsize=16)
def _compare(items: tuple[tuple[tuple[str, float], ...], ...]) -> Comparison:
    settings, unit = tuple(dict(own) for own in items), resolution([dict(own) for own in items])
    pairs = list(itertools.combinations(range(len(settings)), 2))
    tested = sum(is_testable(settings[i], settings[j]) for i, j in pairs)
    found = {(i, j): difference(settings[i], settings[j], max(tested, 1), unit) for i, j in pairs}
    p_values = dict.fromkeys(pairs, 1.0)
    known = [pair for pair in pairs if found[pair].method]
    p_values |= zip(known, adjusted([found[pair].p for pair in known]), strict=True)
    told_apart = [pair for pair in pairs if p_values[pair] <= LEVEL]
    better = [(i, j) if found[i, j].mean < 0 else (j, i) for i, j in told_apart]
    places = place_texts(rank_intervals(len(settings), better))
    return Comparison(settings, found, p_values, letters(len(settings), told_apart), places)
