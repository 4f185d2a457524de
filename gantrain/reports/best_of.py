"""The best of k trials of a search, against k: how good a setting is for a budget of tuning (Lucic et al. 2018)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from gantrain.core.directions import Direction, direction
from gantrain.core.figures import panels, render
from gantrain.reports.figures import COLOURS
from gantrain.reports.ranking import cost
from gantrain.reports.runs import Row
from gantrain.reports.settings import seed_of

RESAMPLES = 2000


@dataclass(frozen=True)
class Search:
    """The costs of one setting's trials, [trials, seeds], infinite where a run has none, and their runs."""

    setting: str
    trials: list[dict[str, Row]]  # of each trial by seed
    seeds: list[str]
    tag: str

    @property
    def costs(self) -> Any:
        """Costs, [trials, seeds]."""
        import numpy

        return numpy.array(
            [[_cost(trial.get(seed), self.tag) for seed in self.seeds] for trial in self.trials], dtype=float
        )


def _cost(row: Row | None, tag: str) -> float:
    return cost(tag, row.state.get(tag), row.published) if row is not None and row.counts else math.inf


def searches(found: Sequence[Row], tag: str) -> list[Search]:
    """Return the trials of each setting of a study."""
    settings: dict[str, dict[tuple[tuple[str, str], ...], dict[str, Row]]] = {}
    for row in found:
        drawn = tuple((key, value) for key, value in row.varied.items() if key not in ("setting", "seed"))
        settings.setdefault(row.varied["setting"], {}).setdefault(drawn, {})[seed_of(row)] = row
    seeds = list(dict.fromkeys(map(seed_of, found)))
    return [Search(name, [*trials.values()], seeds, tag) for name, trials in settings.items()]


def tuned_rows(found: Sequence[Row], tag: str) -> list[Row]:
    """Return a run for each setting and seed: of the trial that is best over the other seeds.

    So the seed that is read had no part in the choice, and the best of many trials is not flattered. A trial without
    a number in one of the seeds is chosen only where all have none.
    """
    chosen = []
    for search in searches(found, tag):
        costs = search.costs
        for place, seed in enumerate(search.seeds):
            others = [index for index in range(len(search.seeds)) if index != place]
            best = min(range(len(search.trials)), key=lambda trial: statistics.fmean(costs[trial, others]))
            if (row := search.trials[best].get(seed)) is not None:
                varied = {"setting": search.setting, "seed": seed}
                chosen.append(replace(row, varied=varied))
    return chosen


def best_trials(found: Sequence[Row], tag: str) -> list[list[str]]:
    """Return a table of each setting's best trial over all seeds, with what it drew."""
    lines = [["setting", "trials", "best trial", "mean over all seeds"]]
    for search in searches(found, tag):
        means = search.costs.mean(1)
        best = int(means.argmin())
        row = next(iter(search.trials[best].values()))
        drawn = " ".join(
            f"{key}={value}" for key, value in row.varied.items() if key not in ("setting", "seed")
        )
        text = (
            f"{_value(tag, float(means[best])):.4g}" if math.isfinite(means[best]) else "none has all seeds"
        )
        lines.append([search.setting, str(len(search.trials)), drawn, text])
    return lines


def _value(tag: str, cost: float) -> float:
    return -cost if direction(tag) == Direction.HIGHER else cost


def best_of_k(means: Any) -> Any:
    """Return the expected least of k of these costs, over all choices, for k from 1 on; [..., n] to [..., n]."""
    import numpy
    from scipy.special import comb

    n = means.shape[-1]
    ordered, k, rank = numpy.sort(means, axis=-1), numpy.arange(1, n + 1)[:, None], numpy.arange(n)[None]
    weights = comb(n - 1 - rank, k - 1) / comb(n, k)  # that the least is the one of this rank
    with numpy.errstate(invalid="ignore"):
        parts = numpy.where(weights > 0, weights * ordered[..., None, :], 0.0)
    return numpy.asarray(parts.sum(-1))


def curve(search: Search) -> tuple[Any, Any, Any]:
    """Return the expected best of k trials for each k, and the ends of its 95 % interval over resampled seeds."""
    import numpy

    costs = search.costs
    index = numpy.random.default_rng(0).integers(0, costs.shape[1], size=(RESAMPLES, costs.shape[1]))
    resampled = best_of_k(costs[:, index].mean(-1).T)
    low, high = numpy.quantile(resampled, [0.025, 0.975], axis=0)
    return best_of_k(costs.mean(1)), low, high


def draw_best_of(found: Sequence[Row], tag: str) -> Image.Image | None:
    """Return the curves of all settings with their intervals; None where no setting has several trials."""
    import numpy

    known = [search for search in searches(found, tag) if len(search.trials) > 1]
    if not known:
        return None
    figure, (axis,) = panels(1, 6.4, 4.4)
    sign = -1.0 if direction(tag) == Direction.HIGHER else 1.0
    for colour, search in zip(COLOURS, known, strict=False):
        values, low, high = (sign * ends for ends in curve(search))
        is_finite = numpy.isfinite(values)
        images = [row.result.get("images") for trial in search.trials for row in trial.values()]
        one = statistics.fmean([count for count in images if isinstance(count, int)] or [1])
        x = one * len(search.seeds) * numpy.arange(1, len(values) + 1)
        axis.plot(
            x[is_finite],
            values[is_finite],
            color=colour,
            linewidth=2,
            marker="o",
            markersize=4,
            label=search.setting,
        )
        axis.fill_between(x, low, high, where=numpy.isfinite(low + high), color=colour, alpha=0.15)
    axis.set_xlabel("images of all trials and seeds")
    axis.set_ylabel(f"{tag}, best of k trials")
    axis.set_title("expected best against the budget of the search", fontsize=10)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=8, framealpha=0.6)
    return render(figure)
