"""A trial of a search as a run: what it reads, what it tells the study, and when it gives up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gantrain.config.options import Config, Train
from gantrain.errors import ConfigError, Pruned, suggest
from gantrain.reports.run_folder import read_json
from gantrain.sweeps.optuna.search import Search, pruner
from gantrain.sweeps.optuna.study import SEARCH, loaded, number_in
from gantrain.training.device import Runtime
from gantrain.training.evaluate import fitting, read, view
from gantrain.training.expected_tags import expected
from gantrain.training.run import prepare
from gantrain.training.state import TrainState

log = logging.getLogger("gantrain")
Watch = Callable[[int, Mapping[str, float], float], None]


def see_metrics(tags: Sequence[str], configs: Sequence[Config]) -> None:
    """See that runs give the numbers which a search is to improve.

    Args:
        tags: Those numbers.
        configs: Runs, of which each number needs one that gives it.

    Raises:
        ConfigError: With the tags that there are.
    """
    foreseen = {tag for config in configs for tag in expected(config) if not tag.startswith("loss/")}
    if foreseen.issuperset(tags):
        return
    known = foreseen | set(readable(configs[0]))  # a suite may read more than is known before it is asked
    for tag in tags:
        if tag not in known:
            remedy = suggest(tag, known) if known else "choose a suite that reads it, as in metric=compare"
            raise ConfigError("hydra.sweeper.metric", f"no trial reads {tag}", remedy)


def readable(config: Config) -> list[str]:
    """Return the tags that a run's evaluations give, by reading players that have not trained.

    Raises:
        DataError: For data that cannot be read.
        ConfigError: When no metric fits the run.
    """
    data, runtime = prepare(config), Runtime(config.device)
    state = TrainState.create(config, data.spec, runtime)
    return list(read(fitting(config, data), view(config, data, state, runtime)).metrics)


def watcher(folder: Path, options: Train) -> Watch | None:
    """Return what a run calls after each evaluation where its folder is that of a trial; None for any other run.

    Args:
        folder: The run's.
        options: Its length, and how often it evaluates.

    Raises:
        ConfigError: When the study cannot be read.
    """
    record = read_json(folder.parent / SEARCH)
    number = folder.name.partition("-")[0]
    if not record or not number.isdigit():
        return None
    tags = [str(tag) for tag in record["metric"]]
    search = Search(
        metric=tags,
        direction=record["direction"],
        pruner=record["pruner"],
        startup_trials=record["startup_trials"],
        warmup=record["warmup"],
    )
    report = _reporter(folder.parent, int(number), search, options) if len(tags) == 1 else None

    def watch(step: int, metrics: Mapping[str, float], share: float) -> None:
        for tag in tags:
            if tag not in metrics:
                what = f"this run does not read {tag}"
                raise ConfigError("hydra.sweeper.metric", what, suggest(tag, metrics))
        hopeless = report is not None and report(step, number_in(metrics, tags[0]))
        if hopeless and search.warmup <= share < 1:
            what = f"given up at step {step}, where {tags[0]} is {metrics[tags[0]]:.4g}"
            raise Pruned(folder, what, "hydra.sweeper.pruner=none keeps such trials", step, metrics)

    return watch


def _reporter(
    sweep: Path, number: int, search: Search, options: Train
) -> Callable[[int, float], bool] | None:
    """Return what tells the study a number and says whether to give up; None for a trial that it does not wait for."""
    import optuna

    study = loaded(sweep, read_json(sweep / SEARCH), pruner(search, options.steps, options.evaluate_every))
    trials = study.get_trials(deepcopy=False)
    if number >= len(trials) or trials[number].state.is_finished():
        return None
    trial = optuna.trial.Trial(study, trials[number]._trial_id)
    told = set(trials[number].intermediate_values)  # before this run was stopped and went on

    def report(step: int, value: float) -> bool:
        try:
            if step not in told:
                trial.report(value, step)
            return bool(search.prunes and trial.should_prune())
        except (optuna.exceptions.OptunaError, OSError) as error:
            # Training is worth more than a report of it.
            log.warning("step %d is not reported to the study: %s", step, " ".join(str(error).split()))
            return False

    return report
