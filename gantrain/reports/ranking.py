"""Rank settings: the metrics by which they are compared, and what their seeds decide."""

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from gantrain.core.directions import direction, is_of_own_d
from gantrain.core.suggestions import suggest
from gantrain.errors import ConfigError
from gantrain.reports.comparison.comparison import MAX_SETTINGS, Comparison, compare
from gantrain.reports.comparison.differences import Costs
from gantrain.reports.comparison.intervals import MIN_SEEDS
from gantrain.reports.readings import mapping, order, own_d_tags
from gantrain.reports.runs import Row
from gantrain.reports.settings import Setting, group_by_data, group_by_setting, seed_of

MAX_COLUMNS = 6  # columns of numbers
MORE_SEEDS = f"fewer than {MIN_SEEDS} seeds tell nothing apart; sweep 'seed=range(5)'"


def order_tags(tags: Collection[str], own_d: Collection[str] = ()) -> list[str]:
    """Return the tags that tables show: by how much they tell, those of a run's own D and the loss last."""
    shown = [tag for tag in tags if direction(tag)]
    known = own_d_tags([]) | set(own_d)
    # Losses are of another scale in each game, so they tell least.
    return sorted(shown, key=lambda tag: (tag.startswith("loss/"), order(tag, known)))


def columns(found: Sequence[Row], most: int = MAX_COLUMNS) -> list[str]:
    """Return the tags of a table's columns: those with published values, else first those of every finished run.

    A tag that was laid down stands before them all.
    """
    laid_down = [tag for tag in dict.fromkeys(row.metric for row in found) if tag]
    return list(dict.fromkeys([*laid_down, *_measured_columns(found, most)]))[: max(most, len(laid_down))]


def _measured_columns(found: Sequence[Row], most: int) -> list[str]:
    measured = {tag for row in found for tag in row.state}
    published = dict.fromkeys(tag for row in found for tag in row.published if tag in measured)
    if published:
        return list(published)
    finished = [row for row in found if row.counts]
    present = order_tags({tag for row in finished for tag in row.state}, _own_d(finished))
    # A number that some runs lack cannot rank them.
    return sorted(present, key=lambda tag: not all(tag in row.state for row in finished))[:most]


def _own_d(found: Sequence[Row]) -> set[str]:
    return own_d_tags([row.result for row in found])


def is_own_d(found: Sequence[Row], tag: str) -> bool:
    """Return whether each run's own D gives a tag, so that it is not one scale for all."""
    return is_of_own_d(tag, _own_d(found))


def rank_tag(found: Sequence[Row]) -> str:
    """Return the tag that orders runs, the first column that is no number of their own D; "" if there is none.

    One that was laid down for all of them is that tag, whatever it is.
    """
    laid_down = {row.metric for row in found}
    if len(laid_down) == 1 and "" not in laid_down:
        return laid_down.pop()
    own_d = _own_d(found)
    return next((tag for tag in columns(found, most=1000) if not is_of_own_d(tag, own_d)), "")


def by_metric(found: Sequence[Row], tag: str) -> list[Row]:
    """Return runs that are compared by a tag. Raises ConfigError for one that none has, or without a direction."""
    known = sorted({tag for row in found for tag in row.state if direction(tag)})
    if tag not in known:
        raise ConfigError("metric", f"no run has {tag} with a known direction", suggest(tag, known))
    return [replace(row, metric=tag) for row in found]


def cost(tag: str, value: float | None, published: Mapping[str, float]) -> float:
    """Return the cost of a tag's value, lower for a better one; infinite for a missing value."""
    if value is None:
        return math.inf
    if known := direction(tag):
        return known.cost(value)
    return abs(value - published[tag]) if tag in published else math.inf


def direction_text(tag: str) -> str:
    """Return in words which values of a tag are better."""
    return direction(tag) or "nearest to the published value"


def best_first(found: Sequence[Row]) -> list[Row]:
    """Return runs in the order of ``rank_tag``; those without such a number come last, and all stay without a tag."""
    tag = rank_tag(found)

    def rank(row: Row) -> float:
        return cost(tag, row.state.get(tag) if row.counts else None, row.published)

    return sorted(found, key=rank) if tag else list(found)


def settings(found: Sequence[Row]) -> list[Setting]:
    """Return the settings of runs in the order of their mean cost over seeds, those of one set of data together."""
    return [setting for rows in group_by_data(found).values() for setting in _in_order(rows)]


def _in_order(rows: Sequence[Row]) -> list[Setting]:
    tag, groups = rank_tag(rows), group_by_setting(rows)

    def mean_cost(setting: Setting) -> float:
        # Not the cost of the mean: two seeds that miss a best value on both sides are not at it.
        costs = seed_costs(setting, tag)
        return statistics.fmean(costs.values()) if costs else math.inf

    return sorted(groups, key=mean_cost) if tag else groups


def seed_costs(setting: Setting, tag: str) -> Costs:
    """Return the cost of a setting by seed, the mean of runs that repeat one."""
    costs: dict[str, list[float]] = {}
    for row in setting.read(tag):
        costs.setdefault(seed_of(row), []).append(cost(tag, row.state[tag], row.published))
    return {seed: statistics.fmean(values) for seed, values in costs.items()}


def has_seeds(found: Sequence[Row]) -> bool:
    """Return whether any setting was run more than once."""
    return any(len(setting.runs) > 1 for setting in group_by_setting(found))


def comparison(found: Sequence[Row]) -> Comparison | None:
    """Return what the seeds decide about ``settings`` of the same data, in their order; None if nothing ranks them."""
    if why_no_ranking(found):
        return None
    tag = rank_tag(found)
    return compare([seed_costs(setting, tag) for setting in settings(found)])


def why_no_ranking(found: Sequence[Row]) -> str:
    """Return why runs on the same data have no ranking, or "" if they have one."""
    tag, groups = rank_tag(found), group_by_setting(found)
    if len(groups) < 2:
        return "there is one setting"
    if any(row.varied.keys() - {"setting", "seed"} for row in found if "setting" in row.varied):
        return "its runs are trials of a search, which the study's verdict compares by setting"
    if not tag:
        own = next(iter(columns(found)), "")
        why = f"{own} is a number of each run's own D, which judges no generator; use metric=compare"
        return why if own else "no run has a metric"
    if _is_read_differently(found, tag):
        return f"{tag} was read in different ways"
    if len(groups) > MAX_SETTINGS:
        return f"more than {MAX_SETTINGS} settings are not compared in pairs"
    enough = sum(len(seed_costs(setting, tag)) >= MIN_SEEDS for setting in groups)
    return MORE_SEEDS if enough < 2 else ""


def order_note(found: Sequence[Row]) -> str:
    """Return what orders runs on the same data, and which are told apart how, or why none are."""
    tag, why = rank_tag(found), why_no_ranking(found)
    if len(group_by_setting(found)) < 2:
        return ""
    if not tag:
        return f"no ranking: {why}" if columns(found) else ""
    order_text = f"sorted by {tag} ({direction_text(tag)})"
    if why:
        return f"{order_text}, no ranking: {why}"
    decided = comparison(found)
    assert decided is not None  # why_no_ranking is empty
    if all(map(decided.is_open, decided.differences)):
        return f"{order_text}; no setting can be told from another ({decided.method})"
    return f"{order_text}; settings that share a letter cannot be told apart ({decided.method})"


def differing_protocols(found: Sequence[Row]) -> dict[str, str]:
    """Return for each metric that runs on the same data read in different ways, what differs."""
    values: dict[str, dict[str, set[str]]] = {}
    for row in found:
        for metric, entries in mapping(row.result.get("protocol")).items():
            for key, value in mapping(entries).items():
                # A float was measured from the samples, as the width of a kernel; the rest was set.
                if not isinstance(value, float | list) and key not in ("warning", "G"):
                    values.setdefault(metric, {}).setdefault(key, set()).add(str(value))
    texts = {
        metric: "; ".join(f"{key} {' or '.join(sorted(v))}" for key, v in agreed.items() if len(v) > 1)
        for metric, agreed in values.items()
    }
    return {metric: text for metric, text in texts.items() if text}


def _is_read_differently(found: Sequence[Row], tag: str) -> bool:
    differing, protocols = differing_protocols(found), [mapping(row.result.get("protocol")) for row in found]
    named = {name for one in protocols for name, entry in one.items() if mapping(entry).get("tags")}
    own = {name for one in protocols for name in named if tag in mapping(one.get(name)).get("tags", ())}
    # Older results do not say which metric has which tag.
    return any(name in own or name not in named for name in differing)


def not_comparable(found: Sequence[Row]) -> list[str]:
    """Return a line for each reason why runs do not compare: their data, a metric's protocol, repeated seeds."""
    lines, groups = [], group_by_data(found)
    if len(groups) > 1:
        lines.append(f"the data differ ({'; '.join(groups)}): no number is comparable across them")
    for rows in groups.values():
        for metric, text in differing_protocols(rows).items():
            lines.append(f"metric {metric} was read in different ways ({text}): not comparable")
    twice = [s for s in group_by_setting(found) if len({seed_of(row) for row in s.runs}) < len(s.runs)]
    return list(dict.fromkeys(lines)) + [
        f"{s.label} has a seed more than once, so its spread is not one over seeds" for s in twice
    ]
