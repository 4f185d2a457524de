"""Rows of a pairwise-covering set: every pair of choices is in a row that is possible, or in none that is.

Most faults of a program with many options need two of them (Kuhn, Wallace and Gallo 2004).
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = dict[str, Any]
Choice = tuple[str, Any]
Pair = tuple[Choice, Choice]
TRIES = 3  # choices of a factor that may make a row impossible, before its present one stays


def pairs_of(row: Row) -> list[Pair]:
    """Return every pair of a row's choices."""
    return list(itertools.combinations(row.items(), 2))


def all_pairs(factors: Mapping[str, Sequence[Any]]) -> list[Pair]:
    """Return every pair of choices of two factors, the factors in their order."""
    return [
        ((one, a), (other, b))
        for one, other in itertools.combinations(factors, 2)
        for a, b in itertools.product(factors[one], factors[other])
    ]


def covering_rows(
    factors: Mapping[str, Sequence[Any]], is_possible: Callable[[Row], bool], contexts: Sequence[Row] = ({},)
) -> tuple[list[Row], list[Row]]:
    """Return possible rows that cover pairs of choices, and a row for each pair that is possible in no context.

    Deterministic and greedy, after AETG (Cohen et al. 1997): a row begins with a pair that is not covered yet, and each
    other factor in turn takes the choice with the most new pairs that leaves the row possible.

    Args:
        factors: Choices by factor; the first of each is the one that goes with most others.
        is_possible: Whether a row can be run.
        contexts: Choices that a pair may need beside it, apart from first ones.
    """
    left = dict.fromkeys(all_pairs(factors))
    rows: list[Row] = []
    impossible: list[Row] = []
    first = {name: choices[0] for name, choices in factors.items()}
    while left:
        pair = next(iter(left))
        starts = [first | context | dict(pair) for context in contexts]
        row = next(filter(is_possible, starts), None)
        if row is None:
            del left[pair]
            impossible.append(starts[0])
            continue
        row = _with_new_pairs(row, dict(pair), factors, is_possible, left)
        rows.append(row)
        for covered in pairs_of(row):
            left.pop(covered, None)
    return rows, impossible


def _with_new_pairs(
    row: Row,
    fixed: Row,
    factors: Mapping[str, Sequence[Any]],
    is_possible: Callable[[Row], bool],
    left: Mapping[Pair, None],
) -> Row:
    """Return a possible row that covers more of the pairs that are left, with the same ``fixed`` choices."""

    def gain(name: str, choice: Any) -> int:
        changed = row | {name: choice}
        return sum(pair in left for pair in pairs_of(changed) if (name, choice) in pair)

    for name, choices in factors.items():
        gains = {choice: gain(name, choice) for choice in choices if name not in fixed}
        better = sorted((c for c in gains if gains[c] > gains[row[name]]), key=lambda c: -gains[c])
        for choice in better[:TRIES]:
            if is_possible(row | {name: choice}):
                row = row | {name: choice}
                break
    return row
