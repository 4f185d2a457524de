"""A comparison in sentences: what is best, what is worse for sure, and what is open."""

from __future__ import annotations

from collections.abc import Sequence

from gantrain.core.text import count
from gantrain.reports.decisions import pair_cells
from gantrain.reports.ranking import comparison, rank_tag, settings, why_no_ranking
from gantrain.reports.runs import Row
from gantrain.reports.settings import group_by_setting

MAX_NAMES = 12


def verdict(found: Sequence[Row]) -> list[str]:
    """Return what the seeds say about runs on the same data, a sentence each; nothing of a single setting."""
    if len(group_by_setting(found)) < 2:
        return []
    decided = comparison(found)
    if decided is None:
        return [f"nothing can be said: {why_no_ranking(found)}"]
    labels = [setting.label for setting in settings(found)]
    pairs = {j: pair_cells(decided, (0, j)) for j in range(1, len(labels))}
    worse = [f"{labels[j]} by {pairs[j][0]}" for j in pairs if not decided.is_open((0, j))]
    still_open = [j for j in pairs if decided.is_open((0, j))]
    tested = decided.testable_pairs
    told = sum(not decided.is_open(pair) for pair in tested)
    lines = [f"{labels[0]} has the best mean of {rank_tag(found)}"]
    if worse:
        lines.append(f"worse than {labels[0]}: {_names(worse)}")
    if still_open:
        lines.append(f"not told from {labels[0]}: {_names([labels[j] for j in still_open])}")
        more = [f"{labels[j]} {pairs[j][3]}" for j in still_open if pairs[j][3]]
        if more:
            lines.append(f"seeds more of each that would tell them from {labels[0]}: {_names(more)}")
    lines.append(f"{told} of {count(len(tested), 'pair')} of settings {'is' if told == 1 else 'are'} decided")
    return lines


def _names(names: Sequence[str]) -> str:
    rest = len(names) - MAX_NAMES
    between = "; " if any(", " in name for name in names) else ", "
    return between.join([*names[:MAX_NAMES], *([f"and {rest} more"] if rest > 0 else [])])
