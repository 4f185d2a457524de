"""Letters and places: which settings cannot be told apart, and between which places each one is."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence

MAX_LETTERS = 26

Pair = tuple[int, int]  # of settings, the lower number first


def letters(count: int, differing: Collection[Pair]) -> list[str]:
    """Return the letters of settings, of which two share one if and only if they are not told apart.

    By inserting and absorbing columns (Piepho 2004), then without columns whose pairs all share another one. Settings
    are numbered best first, so the best has the letter a. "" for all where more than ``MAX_LETTERS`` are needed.
    """
    columns = [frozenset(range(count))]
    for i, j in differing:
        split = [own for column in columns if {i, j} <= column for own in (column - {i}, column - {j})]
        kept = [column for column in columns if not {i, j} <= column]
        for own in split:
            if not any(own <= other for other in kept):
                kept = [other for other in kept if not other <= own] + [own]
        columns = kept
        if len(columns) > 40 * MAX_LETTERS:
            return [""] * count
    columns.sort(key=sorted)
    for column in reversed(columns):
        others = [other for other in columns if other is not column]
        shared = itertools.combinations_with_replacement(sorted(column), 2)
        if all(any({i, j} <= other for other in others) for i, j in shared):
            columns = others
    if len(columns) > MAX_LETTERS:
        return [""] * count
    return [
        "".join(chr(ord("a") + place) for place, column in enumerate(columns) if setting in column)
        for setting in range(count)
    ]


def rank_intervals(count: int, better: Collection[Pair]) -> list[tuple[int, int]]:
    """Return between which places each setting is, all at once with probability 95 % (Mogstad et al. 2024).

    A setting's best place is 1 more than the settings that are better for sure.

    Args:
        count: Of settings.
        better: Pairs of which the first setting is better than the second for sure.
    """
    best, worst = [1] * count, [count] * count
    for less, more in better:
        best[more] += 1
        worst[less] -= 1
    return list(zip(best, worst, strict=True))


def place_texts(intervals: Sequence[tuple[int, int]]) -> list[str]:
    """Return places as text: "1", or "1-3" for a setting that may have any of these."""
    return [f"{best}" if best == worst else f"{best}-{worst}" for best, worst in intervals]
