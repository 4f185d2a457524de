"""Tables of what the seeds decide: every setting against the best one, or every pair."""

from __future__ import annotations

from collections.abc import Sequence

from gantrain.core.estimate import Z95, Estimate
from gantrain.core.text import format_interval, format_value
from gantrain.reports.comparison.comparison import Comparison
from gantrain.reports.comparison.letters import Pair
from gantrain.reports.ranking import comparison, rank_tag, settings
from gantrain.reports.runs import Row
from gantrain.reports.settings import group_by_data

MAX_PAIRS = 105  # of 15 settings
NOTE = (
    "worse by: mean difference with its 95 % interval, in the direction that is better; p: of no difference, with "
    "Holm's correction; better in: the share of all pairs of seeds; more seeds: of each setting, to decide the pair "
    "with probability 80 % if the difference and its spread stay as they are"
)


def decision_table(found: Sequence[Row], all_pairs: bool = False) -> list[list[str]]:
    """Return a line for each setting against the best, or for each pair; nothing if nothing ranks the settings.

    With ``all_pairs`` there are those of the best first; of too many settings these alone.
    """
    decided = comparison(found)
    if decided is None:
        return []
    labels = [setting.label for setting in settings(found)]
    pairs = list(decided.differences)
    if not all_pairs or len(pairs) > MAX_PAIRS:
        pairs = [pair for pair in pairs if pair[0] == 0]
    head = ["setting", "against", f"worse by, {rank_tag(found)}", "p", "better in", "more seeds"]
    return [head, *([labels[j], labels[i], *pair_cells(decided, (i, j))] for i, j in pairs)]


def pair_cells(decided: Comparison, pair: Pair) -> list[str]:
    """Return by how much the second of a pair is worse, p, its share of better seeds, and how many more decide."""
    found = decided.differences[pair]
    if found.interval is None:
        return ["", "", "", ""]
    low, high = found.interval
    error = (high - low) / (2 * Z95)
    gap = Estimate(-found.mean, error, interval=(-high, -low))
    worse = f"{format_value(gap, error)} ({format_interval(gap)})" if error else format_value(gap, None)
    share = f"{100 * decided.improvement(pair[1], pair[0]):.0f} %"
    return [worse, p_text(decided.p_values[pair]), share, decided.more_seeds_text(pair)]


def p_text(p: float) -> str:
    """Return a p-value with two digits that count, and a small one as a bound."""
    return "< 0.0001" if p < 1e-4 else f"{p:.4f}" if p < 0.01 else f"{p:.2g}"


def groups_of_runs(found: Sequence[Row]) -> dict[int, dict[str, str]]:
    """Return the letters and the place of each run's setting by the row's identity; nothing if nothing is ranked."""
    groups: dict[int, dict[str, str]] = {}
    for rows in group_by_data(found).values():
        if (decided := comparison(rows)) is not None:
            for setting, group, place in zip(settings(rows), decided.groups, decided.places, strict=True):
                groups |= {id(row): {"group": group, "place": place} for row in setting.runs}
    return groups
