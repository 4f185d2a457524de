"""The results of a search: the best trials, the command that trains each again, and a figure of the search."""

import math
import shlex
import warnings
from typing import Any

from gantrain.core.atomic import replace_file
from gantrain.core.figures import panels, render
from gantrain.core.files import MAX_PLAN_BYTES, read_json, write_json
from gantrain.core.override import values_by_key
from gantrain.core.plugins import plugin_words
from gantrain.core.sweep_folder import SEARCH
from gantrain.core.text import format_number
from gantrain.sampling.images import encode
from gantrain.sweeps.optuna.space import Dimension
from gantrain.sweeps.optuna.study import Study
from gantrain.sweeps.stored_words import split_config_dir

FIGURE = "optuna.png"
MAX_SLICES = 3  # panels of single keys
MIN_TRIALS = 10  # complete trials below which PED-ANOVA's importances are noise
MAX_LINES = 12  # printed trials of a front
BLUE, GREY = "#1f5fa8", "#b8b8b8"


def progress_line(study: Study) -> str:
    """Return the number of trials so far and the best value."""
    line = f"{sum(trial.state.is_finished() for trial in study.live)} of {study.search.n_trials} trials"
    best = study.best_trials()
    if not best:
        return line
    if len(study.search.metrics) > 1:
        return f"{line}, {len(best)} of them on the front"
    return f"{line}, best {study.search.metrics[0]} {format_number(best[0].value)} in trial {best[0].number}"


def training_command(study: Study, trial: Any, metric: str) -> str:
    """Return the command that trains a trial again as a single run, evaluated by the suite ``metric``."""
    of_sweep = ("sweep=", "run.", "hydra", "metric=")
    words = [word for word in study.job(trial).overrides if not word.startswith(of_sweep)]
    plan = study.sweep.plan()
    configs = split_config_dir(plan.argv)[1] if plan else []
    return shlex.join(["gantrain", *plugin_words(), *configs, *words, f"metric={metric}"])


def write_results(study: Study, metric: str) -> str:
    """Write the best trials into ``optuna.json`` and the figure next to it, and return a text for the terminal."""
    tags = study.search.metrics
    lines = [_counts(study)]
    best = [
        {
            "trial": trial.number,
            "folder": study.job(trial).folder,
            "values": dict(zip(tags, trial.values, strict=True)),
            # Fixed overrides come first, then one for each key of the space.
            "set": values_by_key(study.job(trial).overrides[len(study.fixed) :]),
            "command": training_command(study, trial, metric),
        }
        for trial in study.best_trials()
    ]
    record, path = study.sweep.path / SEARCH, study.sweep.path / FIGURE
    try:
        write_json(record, read_json(record, most=MAX_PLAN_BYTES) | {"best": best})
        if study.complete:
            replace_file(path, encode(render(draw_search(study))))
            lines.append(f"search     {path}")
    except OSError as error:
        lines.append(f"{path} cannot be written ({error.strerror or error})")
    if not best:
        lines.append("no trial has a best value")
    elif len(tags) == 1:
        lines.append("best")
    else:
        lines.append(f"front: {len(best)} trials that no other beats in all of {', '.join(tags)}")
    lines += [_trial_text(one) for one in best[:MAX_LINES]]
    if len(best) > MAX_LINES:
        lines.append(f"and {len(best) - MAX_LINES} more, in {record}")
    if best:
        lines.append("one seed ranks nothing: train the best few again with -m 'seed=range(5)'")
    return "\n" + "\n".join(lines)


def _counts(study: Study) -> str:
    states = [trial.state.name for trial in study.live]
    words = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "unfinished"}
    parts = [f"{states.count(state)} {word}" for state, word in words.items() if state in states]
    return f"{len(states)} trial{'s' * (len(states) != 1)}: {', '.join(parts)}" if parts else "no trials"


def _trial_text(one: dict[str, Any]) -> str:
    values = ", ".join(f"{tag} {format_number(value)}" for tag, value in one["values"].items())
    setting = " ".join(f"{key}={value}" for key, value in one["set"].items())
    return f"  {one['folder']}: {values} with {setting}\n    {one['command']}"


def importances(study: Study) -> dict[str, float]:
    """Return each key's importance for the first metric by PED-ANOVA (Watanabe et al. 2023); {} for too few trials."""
    import optuna

    # PED-ANOVA gives a share even to a key of which only one value was tried.
    varied = [d.key for d in study.space if len({trial.params[d.key] for trial in study.complete}) > 1]
    if len(study.complete) < MIN_TRIALS or not varied:
        return {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shares = optuna.importance.get_param_importances(
                study.optuna,
                evaluator=optuna.importance.PedAnovaImportanceEvaluator(),
                params=varied,
                target=lambda trial: study.sign * trial.values[0],  # a target is minimised
            )
    except (ValueError, RuntimeError, ZeroDivisionError):  # all values are equal
        return {}
    return {key: share for key, share in shares.items() if math.isfinite(share)}


def draw_search(study: Study) -> Any:
    """Return a matplotlib figure of the progress of a search and of the effect of each key."""
    # Optuna's plots each open a pyplot figure and take no axes; they leave out pruned trials, and the part of the
    # space without trials.
    shares = importances(study)
    space = sorted(study.space, key=lambda dimension: -shares.get(dimension.key, 0.0))[:MAX_SLICES]
    figure, axes = panels(1 + len(space), width=4.2, height=4.0)
    (_plot_history if len(study.search.metrics) == 1 else _plot_front)(axes[0], study)
    for ax, dimension in zip(axes[1:], space, strict=True):
        _plot_slice(ax, study, dimension, shares.get(dimension.key))
    return figure


def _plot_history(ax: Any, study: Study) -> None:
    """Plot each trial's value by number, and the best so far."""
    numbers, values = zip(*[(trial.number, trial.value) for trial in study.complete], strict=True)
    better = min if study.sign > 0 else max
    best = [better(values[: i + 1]) for i in range(len(values))]
    ax.plot(numbers, best, color=BLUE, drawstyle="steps-post", label="best so far")
    ax.scatter(numbers, values, color=BLUE, s=22, label="complete")
    pruned = [t for t in study.live if t.state.name == "PRUNED" and t.intermediate_values]
    last = [(trial.number, trial.intermediate_values[trial.last_step]) for trial in pruned]
    if last := [point for point in last if math.isfinite(point[1])]:
        ax.scatter(*zip(*last, strict=True), c="#888888", s=26, marker="x", label="pruned, last value")
    ax.set(xlabel="trial", ylabel=study.search.metrics[0], title="the search")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(fontsize=8)


def _plot_front(ax: Any, study: Study) -> None:
    """Plot the first two metrics of every trial and of the trials that no other beats."""
    complete, best = ([t.values[:2] for t in trials] for trials in (study.complete, study.best_trials()))
    ax.scatter(*zip(*complete, strict=True), color=GREY, s=22, label="complete")
    ax.scatter(*zip(*best, strict=True), color=BLUE, s=30, label="front")
    tags = study.search.metrics
    if len(tags) == 2:  # the front of more metrics is no line in the plane of two
        ax.plot(*zip(*sorted(best), strict=True), color=BLUE, alpha=0.4)
    ax.set(xlabel=tags[0], ylabel=tags[1], title="the front")
    ax.legend(fontsize=8)


def _plot_slice(ax: Any, study: Study, dimension: Dimension, share: float | None) -> None:
    """Plot the first metric over one key, later trials darker."""
    values = [trial.params[dimension.key] for trial in study.complete]
    if dimension.choices:
        values = [dimension.choices.index(str(value)) for value in values]
        ax.set_xticks(range(len(dimension.choices)), dimension.choices, rotation=20, fontsize=8)
        ax.set_xlim(-0.5, len(dimension.choices) - 0.5)
    elif dimension.low < dimension.high:  # the whole range, so that the part without trials is visibly empty
        ax.set_xscale("log" if dimension.log else "linear")
        ax.set_xlim(dimension.low, dimension.high)
        ax.tick_params(axis="x", which="minor", labelbottom=False)
    numbers = [trial.number for trial in study.complete]
    style = {"cmap": "Blues", "vmin": -len(numbers), "edgecolors": BLUE, "linewidths": 0.5, "s": 26}
    ax.scatter(values, [trial.values[0] for trial in study.complete], c=numbers, **style)
    title = f"{dimension.key.split('.')[-1]}, importance {share:.0%}" if share is not None else dimension.key
    ax.set(xlabel=dimension.key, ylabel=study.search.metrics[0], title=title)
