"""A trial as a run: the metrics that it must give, what it reports to the study, and when it is pruned."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gantrain.config.options import Config, Train
from gantrain.core.files import read_json
from gantrain.core.sweep_folder import Job
from gantrain.errors import ConfigError, Pruned, suggest
from gantrain.sweeps.optuna.search import Search, pruner
from gantrain.sweeps.optuna.study import SEARCH, load_study, metric_value
from gantrain.training.device import Runtime
from gantrain.training.evaluate import compute, expected_tags, supported_metrics, view
from gantrain.training.run import prepare
from gantrain.training.state import TrainState

log = logging.getLogger("gantrain")
Callback = Callable[[int, Mapping[str, float], float], None]


def check_metrics(tags: Sequence[str], configs: Sequence[Config]) -> None:
    """Check that runs give the metrics which a search is to improve.

    Args:
        tags: Those metrics.
        configs: Runs; each tag needs one of them that gives it.

    Raises:
        ConfigError: With the tags that there are.
    """
    known = {tag for config in configs for tag in expected_tags(config) if not tag.startswith("loss/")}
    if known.issuperset(tags):  # the common case, without loading the data
        return
    known |= set(measured_tags(configs[0]))  # some metrics know their tags only once they have the data
    for tag in tags:
        if tag not in known:
            remedy = suggest(tag, known) if known else "choose a suite that has it, as in metric=compare"
            raise ConfigError("hydra.sweeper.metric", f"no trial evaluates {tag}", remedy)


def measured_tags(config: Config) -> list[str]:
    """Return the tags that a run's evaluations give, by evaluating untrained networks.

    Raises:
        DataError: For data that cannot be read.
        ConfigError: When no metric fits the run.
    """
    data, runtime = prepare(config), Runtime(config.device)
    state = TrainState.create(config, data.spec, runtime)
    return list(compute(supported_metrics(config, data), view(config, data, state, runtime)).metrics)


def pruning_callback(folder: Path, options: Train) -> Callback | None:
    """Return what a trial calls after each evaluation; it raises Pruned. None for a run that is no trial.

    Args:
        folder: The run's.
        options: Its length, and how often it evaluates.

    Raises:
        ConfigError: When the study cannot be read.
    """
    record = read_json(folder.parent / SEARCH)
    number = Job(folder.name).number
    if not record or not number.isdigit():
        return None
    tags = [str(tag) for tag in record["metric"]]
    keys = ("direction", "pruner", "startup_trials", "warmup")
    search = Search(metric=tags, **{key: record[key] for key in keys})
    # Of several metrics Optuna prunes nothing.
    report = _reporter(folder.parent, int(number), search, options) if len(tags) == 1 else None

    def check(step: int, metrics: Mapping[str, float], share: float) -> None:
        for tag in tags:
            if tag not in metrics:
                what = f"this run does not evaluate {tag}"
                raise ConfigError("hydra.sweeper.metric", what, suggest(tag, metrics))
        is_hopeless = report is not None and report(step, metric_value(metrics, tags[0]))
        # A run that seconds end has no last step known in advance, so the warm-up is a share of its budget.
        if is_hopeless and search.warmup <= share < 1:
            what = f"pruned at step {step}, where {tags[0]} is {metrics[tags[0]]:.4g}"
            raise Pruned(folder, what, "hydra.sweeper.pruner=none keeps such trials", step, metrics)

    return check


def _reporter(
    sweep: Path, number: int, search: Search, options: Train
) -> Callable[[int, float], bool] | None:
    """Return a function that reports a value to the study and returns whether to prune; None once the trial ended."""
    import optuna

    rule = pruner(search, options.steps, options.evaluate_every)
    study = load_study(sweep, read_json(sweep / SEARCH), rule)
    trials = study.get_trials(deepcopy=False)
    if number >= len(trials) or trials[number].state.is_finished():
        return None
    # The sweep's process drew the trial; this one attaches to it by its id in the storage.
    trial = optuna.trial.Trial(study, trials[number]._trial_id)
    reported = set(trials[number].intermediate_values)  # before this run was interrupted and resumed

    def report(step: int, value: float) -> bool:
        try:
            if step not in reported:
                trial.report(value, step)
            return bool(search.prunes and trial.should_prune())
        except (optuna.exceptions.OptunaError, OSError) as error:
            # A study out of reach is no reason to lose the training so far.
            log.warning("step %d is not reported to the study: %s", step, " ".join(str(error).split()))
            return False

    return report
