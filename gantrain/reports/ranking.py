"""Rank runs: the metrics by which they are compared, and settings with their seeds, best first."""

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gantrain.reports.runs import Row
from gantrain.reports.varying import short_label

# The first columns of a table, unless published values name them; the CSV has every tag.
# First those that do not depend on the run's D: a weak D estimates a small divergence for a bad generator.
COLUMNS = (
    "divergence/js_refit",
    "divergence/js_exact",
    "divergence/frechet",
    "divergence/kernel",
    "divergence/wasserstein",
    "diversity/coverage",
    "fidelity/high_quality",
    "diversity/modes",
    "divergence/js",
    "divergence/game",
    "diversity/mode_kl",
    "fidelity/precision",
    "fidelity/class_accuracy",
    "fidelity/sharpness",
    "logits/mismatched_auc",
    "diversity/per_condition_std",
    "divergence/js_gap",
)
LAST_COLUMN = "loss/g"  # of another scale in each game, so it tells least
MAX_COLUMNS = 6  # columns of numbers
OWN_D_TAGS = ("divergence/js", "divergence/js_gap", "divergence/game", LAST_COLUMN)
LOWER_IS_BETTER = ("divergence/", "diversity/mode_kl", "loss/")
HIGHER_IS_BETTER = ("diversity/", "fidelity/", "logits/mismatched_auc")
RANKED = (*LOWER_IS_BETTER, *HIGHER_IS_BETTER)
UNRANKED = ("_se", "_error", "_residual")  # the uncertainty of a number ranks nothing
# Real data are 1. Noise is above it in all of these, and a copy's distance below it.
ONE_IS_BEST = (
    "fidelity/sharpness",
    "fidelity/density",
    "fidelity/nearest_distance",
    "diversity/per_condition_std",
    "diversity/spread",
)


@dataclass(frozen=True)
class Setting:
    """Runs that differ in their seed alone, also failed ones, and their values of the keys that vary."""

    varied: Mapping[str, str]
    runs: Sequence[Row]

    @property
    def label(self) -> str:
        """Its values in short."""
        return short_label(self.varied) or (self.runs[0].name if len(self.runs) == 1 else "all runs")

    def read(self, tag: str) -> list[Row]:
        """Return the runs that finished and have a value of a tag."""
        return [row for row in self.runs if row.counts and tag in row.numbers]

    def values(self, tag: str) -> list[float]:
        """Return the value of every seed that finished and has one."""
        return [row.numbers[tag] for row in self.read(tag)]

    def mean(self, tag: str) -> float | None:
        """Return the mean over the seeds that finished; None without any."""
        values = self.values(tag)
        return statistics.fmean(values) if values else None


def keys_of(found: Sequence[Row]) -> list[str]:
    """Return the keys in which runs differ, the seed last."""
    keys = dict.fromkeys(key for row in found for key in row.varied)
    return sorted(keys, key=lambda key: key == "seed")


def order_tags(tags: Collection[str], least: Collection[str] = ()) -> list[str]:
    """Return the tags that rank runs: ``COLUMNS``, others by name, then those in ``least`` and the loss."""
    ranked = {tag for tag in tags if tag.startswith(RANKED) and not tag.endswith(UNRANKED)}
    others = sorted(ranked.difference(COLUMNS, [LAST_COLUMN]), key=lambda tag: (tag in least, tag))
    return [tag for tag in (*COLUMNS, *others, LAST_COLUMN) if tag in tags]


def own_d_tags(found: Sequence[Row]) -> set[str]:
    """Return the tags that each run's own D estimates, which are not one scale for all runs."""
    names = (_mapping(_mapping(row.result.get("protocol")).get("js")).get("estimates") for row in found)
    return {*OWN_D_TAGS, *(str(tag) for tags in names if isinstance(tags, list) for tag in tags)}


def _mapping(value: Any) -> Mapping[str, Any]:
    """Return a value of a result or config that should be a mapping; an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def columns(found: Sequence[Row], most: int = MAX_COLUMNS) -> list[str]:
    """Return the tags of a table's columns: those with published values, else first those of every finished run."""
    measured = {tag for row in found for tag in row.numbers}
    published = dict.fromkeys(tag for row in found for tag in row.published if tag in measured)
    if published:
        return list(published)
    finished = [row for row in found if row.counts]
    present = order_tags({tag for row in finished for tag in row.numbers}, own_d_tags(finished))
    # A number that some runs lack cannot rank them.
    return sorted(present, key=lambda tag: not all(tag in row.numbers for row in finished))[:most]


def cost(tag: str, value: float | None, published: Mapping[str, float]) -> float:
    """Return the cost of a tag's value, lower for a better one; infinite for a missing value."""
    if value is None:
        return math.inf
    if tag in ONE_IS_BEST:
        return abs(value - 1)
    if tag.startswith(LOWER_IS_BETTER):
        return value
    if tag.startswith(HIGHER_IS_BETTER):
        return -value
    return abs(value - published[tag]) if tag in published else math.inf


def direction(tag: str) -> str:
    """Return in words which values of a tag are better."""
    if tag in ONE_IS_BEST:
        return "1 is best"
    if tag.startswith(LOWER_IS_BETTER):
        return "lower is better"
    return "higher is better" if tag.startswith(HIGHER_IS_BETTER) else "nearest to the published value"


def best_first(found: Sequence[Row]) -> list[Row]:
    """Return runs best first by the first column of their table; those without such a number come last."""
    tag = next(iter(columns(found)), "")

    def rank(row: Row) -> float:
        return cost(tag, row.numbers.get(tag) if row.counts else None, row.published)

    return sorted(found, key=rank)


def settings(found: Sequence[Row]) -> list[Setting]:
    """Return the settings of runs, seeds grouped, best first by the mean cost of the first column."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    keys = [key for key in keys_of(found) if key != "seed"]
    for row in found:
        # Without a key that varies, runs of one seed are still separate runs.
        own = () if keys or "seed" in row.varied else (row.name,)
        groups.setdefault((*(row.varied.get(key, "") for key in keys), *own), []).append(row)
    tag = next(iter(columns(found)), "")

    def mean_cost(setting: Setting) -> float:
        # Not the cost of the mean: two seeds that miss a best value on both sides are not at it.
        costs = [cost(tag, row.numbers[tag], row.published) for row in setting.read(tag)]
        return statistics.fmean(costs) if costs else math.inf

    named = [({k: v for k, v in zip(keys, name, strict=False) if v}, runs) for name, runs in groups.items()]
    return sorted([Setting(varied, runs) for varied, runs in named], key=mean_cost)


def has_seeds(found: Sequence[Row]) -> bool:
    """Return whether any setting was run more than once."""
    return any(len(setting.runs) > 1 for setting in settings(found))


def order_note(found: Sequence[Row]) -> str:
    """Return the metric that ranks the runs, with a warning when each run's own D estimates it."""
    tag = next(iter(columns(found)), "")
    if not tag or len(found) < 2:
        return ""
    order = f"best first by {tag} ({direction(tag)})"
    if tag not in own_d_tags(found) or len(settings(found)) < 2:
        return order
    return f"{order}, which each run's own D estimates: not one scale for all; metric=compare reads one"


def not_comparable(found: Sequence[Row]) -> list[str]:
    """Return a line for each reason why runs do not compare: their data, a metric's protocol, repeated seeds."""
    lines = []
    data = {_dataset_text(row.config) for row in found if row.config}
    if len(data) > 1:
        names = sorted({str(row.config.get("dataset", {}).get("name")) for row in found if row.config})
        what = ", ".join(names) if len(names) > 1 else f"{names[0]}, with other keys"
        lines.append(f"the data differ ({what}): no number is comparable across them")
    values: dict[str, dict[str, set[str]]] = {}
    for row in found:
        for metric, entries in _mapping(row.result.get("protocol")).items():
            for key, value in _mapping(entries).items():
                # A float was measured from the samples, as the width of a kernel; the rest was set.
                if not isinstance(value, float | list) and key != "warning":
                    values.setdefault(metric, {}).setdefault(key, set()).add(str(value))
    for metric, agreed in values.items():
        differing = [f"{key} {' or '.join(sorted(v))}" for key, v in agreed.items() if len(v) > 1]
        if differing:
            lines.append(
                f"metric {metric} was read in different ways ({'; '.join(differing)}): not comparable"
            )
    twice = [s for s in settings(found) if len({row.varied.get("seed") for row in s.runs}) < len(s.runs)]
    return lines + [
        f"{s.label} has a seed more than once, so its spread is not one over seeds" for s in twice
    ]


def _dataset_text(config: Mapping[str, Any]) -> str:
    """Return the keys of the dataset as text that is equal for the same data in another folder."""
    data = {key: value for key, value in _mapping(config.get("dataset")).items() if key != "root"}
    names = {k: v.rstrip("/").rsplit("/", 1)[-1] if isinstance(v, str) else v for k, v in data.items()}
    return repr(sorted(names.items()))
