"""A trial while it runs: the metrics that it must evaluate, its reports to the study, and pruning."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gantrain.config.options import Config, Train
from gantrain.core.files import MAX_PLAN_BYTES, read_json
from gantrain.core.suggestions import suggest
from gantrain.core.sweep_folder import SEARCH, Job
from gantrain.errors import ConfigError, Pruned
from gantrain.sweeps.optuna.search import Search, pruner
from gantrain.sweeps.optuna.storage import load_study
from gantrain.sweeps.optuna.study import metric_value
from gantrain.training.best import measured_tags
from gantrain.training.evaluate import expected_tags
from gantrain.training.run import prepare

log = logging.getLogger("gantrain")
Callback = Callable[[int, Mapping[str, float], float], None]


def check_metrics(tags: Sequence[str], configs: Sequence[Config]) -> None:
    """Check that each metric of a search is evaluated by one of its runs. Raises ConfigError."""
    known = {tag for config in configs for tag in expected_tags(config) if not tag.startswith("loss/")}
    if known.issuperset(tags):  # the common case, without loading the data
        return
    known |= set(
        measured_tags(configs[0], prepare(configs[0]))
    )  # some metrics know their tags only once they have the data
    for tag in tags:
        if tag not in known:
            remedy = suggest(tag, known) if known else "choose a suite that has it, as in metric=compare"
            raise ConfigError("hydra.sweeper.metric", f"no trial evaluates {tag}", remedy)


def pruning_callback(folder: Path, options: Train) -> Callback | None:
    """Return the function that a trial calls after each evaluation, which raises Pruned; None for other runs.

    Raises:
        ConfigError: When the study cannot be read.
    """
    record = read_json(folder.parent / SEARCH, most=MAX_PLAN_BYTES)
    number = Job(folder.name).number
    if not record or not number.isdigit():
        return None
    tags = [str(tag) for tag in record["metric"]]
    keys = ("direction", "pruner", "startup_trials", "warmup")
    search = Search(metric=tags, **{key: record[key] for key in keys})
    # With several metrics Optuna cannot prune.
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


def _reporter(sweep: Path, number: int, search: Search, train: Train) -> Callable[[int, float], bool] | None:
    """Return a function that reports a value to the study and returns whether to prune; None once the trial ended."""
    import optuna

    rule = pruner(search, train.steps, train.evaluate_every)
    study = load_study(sweep, read_json(sweep / SEARCH, most=MAX_PLAN_BYTES), rule)
    trials = study.get_trials(deepcopy=False)
    if number >= len(trials) or trials[number].state.is_finished():
        return None
    # The sweep's process asked for the trial; this one attaches to it by its id in the storage.
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
