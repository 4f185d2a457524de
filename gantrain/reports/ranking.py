"""Which of several runs is the better one: the numbers that say so, the settings with their seeds, best first."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gantrain.reports.runs import Row
from gantrain.reports.varying import short_label

# What a table shows first where no published values name its columns; the CSV has every tag.
# Those come first that do not rest on the D that played: a weak D reads a small divergence from a bad generator.
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
LAST_COLUMN = "loss/g"  # each game has its own, so it says least
MAX_COLUMNS = 6  # columns of numbers
OWN_D_TAGS = ("divergence/js", "divergence/js_gap", "divergence/game", LAST_COLUMN)
LOWER_IS_BETTER = ("divergence/", "diversity/mode_kl", "loss/")
HIGHER_IS_BETTER = ("diversity/", "fidelity/", "logits/mismatched_auc")
RANKED = (*LOWER_IS_BETTER, *HIGHER_IS_BETTER)
UNRANKED = ("_se", "_error", "_residual")  # how far a number is to be trusted ranks nothing
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
    """Runs that differ in their seed alone.

    Attributes:
        varied: Their shared values of the keys in which runs differ.
        runs: One for each seed, those that failed among them.
    """

    varied: Mapping[str, str]
    runs: Sequence[Row]

    @property
    def label(self) -> str:
        """Its values in short."""
        return short_label(self.varied) or (self.runs[0].name if len(self.runs) == 1 else "all runs")

    def read(self, tag: str) -> list[Row]:
        """Return the runs that finished and have a number."""
        return [row for row in self.runs if row.counts and tag in row.numbers]

    def values(self, tag: str) -> list[float]:
        """Return a number of every seed that finished and has it."""
        return [row.numbers[tag] for row in self.read(tag)]

    def mean(self, tag: str) -> float | None:
        """Return its mean over the seeds that finished; None where no seed has it."""
        values = self.values(tag)
        return statistics.fmean(values) if values else None


def keys_of(found: Sequence[Row]) -> list[str]:
    """Return the keys in which runs differ, the seed last."""
    keys = dict.fromkeys(key for row in found for key in row.varied)
    return sorted(keys, key=lambda key: key == "seed")


def order_tags(tags: Collection[str], least: Collection[str] = ()) -> list[str]:
    """Return those tags of which some values are better than others, the ones that tell most of a run first.

    Args:
        tags: What runs read.
        least: Those that come after all but the loss, unless they are among ``COLUMNS``.
    """
    own = {tag for tag in tags if tag.startswith(RANKED) and not tag.endswith(UNRANKED)} - {
        *COLUMNS,
        LAST_COLUMN,
    }
    others = sorted(own, key=lambda tag: (tag in least, tag))
    return [tag for tag in (*COLUMNS, *others, LAST_COLUMN) if tag in tags]


def own_d_tags(found: Sequence[Row]) -> set[str]:
    """Return the tags that each run's own D estimates, which are not one scale for all runs."""
    own = set(OWN_D_TAGS)
    for row in found:
        protocol = row.result.get("protocol")
        of_js = protocol.get("js") if isinstance(protocol, Mapping) else None
        names = of_js.get("estimates") if isinstance(of_js, Mapping) else None
        own |= set(map(str, names)) if isinstance(names, list) else set()
    return own


def columns(found: Sequence[Row], most: int = MAX_COLUMNS) -> list[str]:
    """Return the tags a table shows: those with published values, else the first that every finished run has."""
    measured = {tag for row in found for tag in row.numbers}
    published = dict.fromkeys(tag for row in found for tag in row.published if tag in measured)
    if published:
        return list(published)
    finished = [row for row in found if row.counts]
    present = order_tags({tag for row in finished for tag in row.numbers}, own_d_tags(finished))
    # A number that some runs lack cannot rank them.
    return sorted(present, key=lambda tag: not all(tag in row.numbers for row in finished))[:most]


def cost(tag: str, value: float | None, published: Mapping[str, float]) -> float:
    """Return a cost of a tag's value, lower for a better one; infinite where the value is missing."""
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
    """Return which numbers of a tag are the better ones, in words."""
    if tag in ONE_IS_BEST:
        return "1 is best"
    if tag.startswith(LOWER_IS_BETTER):
        return "lower is better"
    return "higher is better" if tag.startswith(HIGHER_IS_BETTER) else "nearest to the published value"


def best_first(found: Sequence[Row]) -> list[Row]:
    """Return runs best first by the first column of their table; those that have no such number come last."""
    tag = next(iter(columns(found)), "")
    return sorted(
        found, key=lambda row: cost(tag, row.numbers.get(tag) if row.counts else None, row.published)
    )


def settings(found: Sequence[Row]) -> list[Setting]:
    """Return runs by what was set for them, seeds together, best first as ``best_first``."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    keys = [key for key in keys_of(found) if key != "seed"]
    for row in found:
        # Without a key that varies, runs of one seed are still runs of their own.
        own = () if keys or "seed" in row.varied else (row.name,)
        groups.setdefault((*(row.varied.get(key, "") for key in keys), *own), []).append(row)
    groups_of_runs = [
        Setting({k: v for k, v in zip(keys, name, strict=False) if v}, runs) for name, runs in groups.items()
    ]
    tag = next(iter(columns(found)), "")
    return sorted(groups_of_runs, key=lambda setting: _mean_cost(setting, tag))


def _mean_cost(setting: Setting, tag: str) -> float:
    """Return the mean over seeds: two that miss a best value on both sides are not at it, as their mean may be."""
    missed = [cost(tag, row.numbers[tag], row.published) for row in setting.read(tag)]
    return statistics.fmean(missed) if missed else math.inf


def has_seeds(found: Sequence[Row]) -> bool:
    """Return whether any setting was run more than once."""
    return any(len(setting.runs) > 1 for setting in settings(found))


def order_note(found: Sequence[Row]) -> str:
    """Return by which number runs stand best first, and that it is no common scale where it is each D's own."""
    tag = next(iter(columns(found)), "")
    if not tag or len(found) < 2:
        return ""
    order = f"best first by {tag} ({direction(tag)})"
    if tag not in own_d_tags(found) or len(settings(found)) < 2:
        return order
    return f"{order}, which each run's own D estimates: not one scale for all; metric=compare reads one"


def not_comparable(found: Sequence[Row]) -> list[str]:
    """Return a line for the data, for each metric and for seeds where a comparison is not what it seems."""
    lines = []
    data = {_dataset_text(_dataset_keys(row.config)) for row in found if row.config}
    if len(data) > 1:
        names = sorted({str(row.config.get("dataset", {}).get("name")) for row in found if row.config})
        what = ", ".join(names) if len(names) > 1 else f"{names[0]}, with other keys"
        lines.append(f"the data differ ({what}): no number is comparable across them")
    values: dict[str, dict[str, set[str]]] = {}
    for row in found:
        protocol = row.result.get("protocol")
        for metric, numbers in protocol.items() if isinstance(protocol, Mapping) else ():
            for key, value in numbers.items() if isinstance(numbers, Mapping) else ():
                # What was found, a width or a distance, is no agreement.
                if not isinstance(value, float | list) and key != "warning":
                    values.setdefault(metric, {}).setdefault(key, set()).add(str(value))
    for metric, agreed in values.items():
        differing = [f"{key} {' or '.join(sorted(v))}" for key, v in agreed.items() if len(v) > 1]
        if differing:
            lines.append(
                f"metric {metric} was read in different ways ({'; '.join(differing)}): not comparable"
            )
    twice = [s for s in settings(found) if len({row.varied.get("seed") for row in s.runs}) < len(s.runs)]
    lines += [
        f"{setting.label} has a seed more than once, so its spread is not one over seeds" for setting in twice
    ]
    return lines


def _dataset_keys(config: Mapping[str, Any]) -> Mapping[str, Any]:
    data = config.get("dataset")
    return {k: v for k, v in data.items() if k != "root"} if isinstance(data, Mapping) else {}


def _dataset_text(data: Mapping[str, Any]) -> str:
    plain = {
        key: value.rstrip("/").rsplit("/", 1)[-1] if isinstance(value, str) else value
        for key, value in data.items()
    }
    return repr(sorted(plain.items()))
