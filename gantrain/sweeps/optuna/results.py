"""What a search found: the best trials with the command that trains each again, and a figure of how it got there."""

from __future__ import annotations

import math
import shlex
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gantrain.core.figures import panels, render
from gantrain.core.files import write_json
from gantrain.core.override import values_by_key
from gantrain.core.text import format_number
from gantrain.reports.run_folder import read_json
from gantrain.sweeps.optuna.space import Dimension
from gantrain.sweeps.optuna.study import SEARCH, Study

FIGURE = "optuna.png"
SLICES = 3  # keys that a figure shows
ENOUGH = 10  # trials from which a key's importance says something
LINES = 12  # trials of a front that a terminal is shown
SETTLED = "#1f5fa8"
PALE = "#b8b8b8"


def progress(study: Study) -> str:
    """Return one line on how far a search is and the best that it has."""
    live = study.live
    ended = sum(trial.state.is_finished() for trial in live)
    line = f"{ended} of {study.search.n_trials} trials"
    best = study.best()
    if not best:
        return line
    if len(study.search.metrics) > 1:
        return f"{line}, {len(best)} of them on the front"
    return f"{line}, best {study.search.metrics[0]} {format_number(best[0].value)} in trial {best[0].number}"


def command(study: Study, trial: Any, metric: str) -> list[str]:
    """Return the words that train a trial again, as a run of its own.

    Args:
        study: The search.
        trial: One of its trials.
        metric: The suite that its runs read.
    """
    words = [
        word
        for word in study.job(trial).overrides
        if not word.startswith(("sweep=", "run.", "hydra", "metric="))
    ]
    return ["gantrain", *words, f"metric={metric}"]


def conclude(study: Study, metric: str) -> str:
    """Write the best trials into ``optuna.json`` and the figure beside it, and return what a terminal is told.

    Args:
        study: A search, over or not.
        metric: The suite that its runs read.
    """
    best, tags = study.best(), study.search.metrics
    lines = [_count(study)]
    found = [
        {
            "trial": trial.number,
            "folder": study.job(trial).folder,
            "values": dict(zip(tags, trial.values, strict=True)),
            "set": values_by_key(study.job(trial).overrides[len(study.fixed) :]),
            "command": shlex.join(command(study, trial, metric)),
        }
        for trial in best
    ]
    try:
        write_json(study.folder / SEARCH, read_json(study.folder / SEARCH) | {"best": found})
        if draw(study, study.folder / FIGURE):
            lines.append(f"search     {study.folder / FIGURE}")
    except OSError as error:
        lines.append(f"{study.folder / FIGURE} cannot be written ({error.strerror or error})")
    head = (
        "best"
        if len(tags) == 1
        else f"front: {len(best)} trials that no other beats in all of {', '.join(tags)}"
    )
    shown = [_described(one) for one in found[:LINES]]
    if len(found) > LINES:
        shown.append(f"and {len(found) - LINES} more, in {study.folder / SEARCH}")
    return "\n" + "\n".join([*lines, head, *shown] if found else [*lines, "no trial has a best value"])


def _count(study: Study) -> str:
    states = [trial.state.name for trial in study.live]
    words = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "to go on with"}
    parts = [f"{states.count(state)} {word}" for state, word in words.items() if state in states]
    many = "trial" if len(states) == 1 else "trials"
    return f"{len(states)} {many}: {', '.join(parts)}" if parts else "no trials"


def _described(one: dict[str, Any]) -> str:
    values = ", ".join(f"{tag} {format_number(value)}" for tag, value in one["values"].items())
    setting = " ".join(f"{key}={value}" for key, value in one["set"].items())
    return f"  {one['folder']}: {values} with {setting}\n    {one['command']}"


def importances(study: Study) -> dict[str, float]:
    """Return the share of each key in how the first metric varies; empty where trials are too few to tell."""
    import optuna

    varied = [d.key for d in study.space if len({t.params[d.key] for t in _complete(study)}) > 1]
    if len(_complete(study)) < ENOUGH or not varied:
        return {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = optuna.importance.get_param_importances(
                study.optuna,
                evaluator=optuna.importance.PedAnovaImportanceEvaluator(),
                params=varied,
                target=lambda trial: study.sign * trial.values[0],
            )
    except (ValueError, RuntimeError, ZeroDivisionError):  # values that are all alike
        return {}
    return {key: share for key, share in found.items() if math.isfinite(share)}


def _complete(study: Study) -> list[Any]:
    return [trial for trial in study.live if trial.state.name == "COMPLETE"]


def draw(study: Study, path: Path) -> bool:
    """Draw how the search went and what each key does, and say whether there was anything to draw. Raises OSError."""
    if not _complete(study):
        return False
    shares = importances(study)
    space = sorted(study.space, key=lambda dimension: -shares.get(dimension.key, 0.0))[:SLICES]
    figure, axes = panels(1 + len(space), width=4.2, height=4.0)
    (_history if len(study.search.metrics) == 1 else _front)(axes[0], study)
    for ax, dimension in zip(axes[1:], space, strict=True):
        _slice(ax, study, dimension, shares.get(dimension.key))
    render(figure).save(path)
    return True


def _history(ax: Any, study: Study) -> None:
    """Draw each trial's value in the order of their numbers, and the best so far."""
    complete = _complete(study)
    at, values = [t.number for t in complete], [t.value for t in complete]
    better = min if study.sign > 0 else max
    so_far = [better(values[: i + 1]) for i in range(len(values))]
    ax.plot(at, so_far, color=SETTLED, drawstyle="steps-post", label="best so far")
    ax.scatter(at, values, color=SETTLED, s=22, label="complete")
    last = [
        (t.number, t.intermediate_values[max(t.intermediate_values)])
        for t in study.live
        if t.state.name == "PRUNED" and t.intermediate_values
    ]
    last = [(number, value) for number, value in last if math.isfinite(value)]
    if last:
        ax.scatter(
            *zip(*last, strict=True), color="#888888", s=26, marker="x", label="pruned, at its last reading"
        )
    ax.set(xlabel="trial", ylabel=study.search.metrics[0], title="the search")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(fontsize=8)


def _front(ax: Any, study: Study) -> None:
    """Draw the first two metrics of every trial, and the trials that no other beats."""
    complete, best = _complete(study), study.best()
    ax.scatter(*_points(complete), color=PALE, s=22, label="complete")
    ax.scatter(*_points(best), color=SETTLED, s=30, label="front")
    if len(study.search.metrics) == 2:
        ax.plot(*_points(sorted(best, key=lambda trial: trial.values)), color=SETTLED, alpha=0.4)
    tags = study.search.metrics
    ax.set(xlabel=tags[0], ylabel=tags[1], title="the front")
    ax.legend(fontsize=8)


def _points(trials: Sequence[Any]) -> tuple[list[float], list[float]]:
    return [trial.values[0] for trial in trials], [trial.values[1] for trial in trials]


def _slice(ax: Any, study: Study, dimension: Dimension, share: float | None) -> None:
    """Draw the first metric over one key, later trials darker."""
    complete = _complete(study)
    values = [trial.params[dimension.key] for trial in complete]
    if dimension.choices:
        values = [dimension.choices.index(str(value)) for value in values]
        ax.set_xticks(range(len(dimension.choices)), dimension.choices, rotation=20, fontsize=8)
        ax.set_xlim(-0.5, len(dimension.choices) - 0.5)
    elif dimension.low < dimension.high:  # all of the space, so that what was not tried is seen
        ax.set_xscale("log" if dimension.log else "linear")
        ax.set_xlim(dimension.low, dimension.high)
        ax.tick_params(axis="x", which="minor", labelbottom=False)
    ax.scatter(
        values,
        [t.values[0] for t in complete],
        c=[t.number for t in complete],
        cmap="Blues",
        vmin=-len(complete),
        edgecolors=SETTLED,
        linewidths=0.5,
        s=26,
    )
    title = f"{dimension.key.split('.')[-1]}, importance {share:.0%}" if share is not None else dimension.key
    ax.set(xlabel=dimension.key, ylabel=study.search.metrics[0], title=title)
