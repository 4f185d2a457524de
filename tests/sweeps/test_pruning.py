"""When a trial is pruned, and what it reports to the study."""

from dataclasses import replace

import pytest
from made_searches import BASIC, SPACE, conclude_job

from gantrain.config.options import Train
from gantrain.core.sweep_folder import SweepFolder
from gantrain.errors import ConfigError, Pruned
from gantrain.sweeps.optuna.pruning import pruning_callback
from gantrain.sweeps.optuna.study import Study


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1), ("maximize", -1)])
def test_pruning_is_by_the_median_and_never_at_the_last_step(direction, sign, tmp_path):
    search = replace(BASIC, direction=[direction], startup_trials=1, warmup=0.5)
    study = Study(SweepFolder(tmp_path / "s"), search, SPACE, ())
    options = Train(steps=40, evaluate_every=10)

    def plays(levels: list[float]) -> int:
        (job,) = study.ask(1)
        watch = pruning_callback(study.sweep.run(job).path, options)
        for step, level in zip((10, 20, 30, 40), levels, strict=True):
            try:
                watch(step, {"divergence/js_refit": sign * level}, step / 40)
            except Pruned as error:
                conclude_job(study, job, error.metrics, "pruned", error.exit_code)
                study.tell_results()
                return error.step if error.metrics == {"divergence/js_refit": sign * level} else -1
        conclude_job(study, job, {"divergence/js_refit": sign * levels[-1]})
        study.tell_results()
        return 0

    assert plays([0.5, 0.4, 0.3, 0.2]) == 0  # nothing to compare it with
    assert plays([0.9, 0.8, 0.1, 0.1]) == 20  # half of the run is warm-up
    assert plays([0.9, 0.1, 0.1, 0.1]) == 0
    assert plays([0.5, 0.1, 0.1, 0.9]) == 0  # there is nothing to save after the last step
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "PRUNED", "COMPLETE", "COMPLETE"]


def test_pruning_of_a_timed_run_is_by_its_share_of_the_time(tmp_path):
    search = replace(BASIC, startup_trials=1, warmup=0.5)
    study = Study(SweepFolder(tmp_path / "s"), search, SPACE, ())
    options = Train(seconds=60, evaluate_every=10)
    options.resolve_budget(has_game=True)
    (job,) = study.ask(1)
    watch = pruning_callback(study.sweep.run(job).path, options)
    for step, share in ((10, 0.3), (20, 0.6), (30, 1.0)):
        watch(step, {"divergence/js_refit": 0.1}, share)
    conclude_job(study, job, {"divergence/js_refit": 0.1})
    study.tell_results()
    (job,) = study.ask(1)
    watch = pruning_callback(study.sweep.run(job).path, options)
    watch(10, {"divergence/js_refit": 0.9}, 0.49)  # half of the time is warm-up
    with pytest.raises(Pruned):
        watch(20, {"divergence/js_refit": 0.9}, 0.5)
    watch(30, {"divergence/js_refit": 0.9}, 1.0)


def test_pruning_reports_each_value_once_and_only_in_a_study(tmp_path):
    study = Study(SweepFolder(tmp_path / "s"), BASIC, SPACE, ())
    (job,) = study.ask(1)
    for _ in range(2):
        watch = pruning_callback(study.sweep.run(job).path, Train(steps=40))
        watch(10, {"divergence/js_refit": 0.5}, 0.25)
    watch(20, {"divergence/js_refit": 0.4}, 0.5)
    assert study.trials[0].intermediate_values == {10: 0.5, 20: 0.4}
    with pytest.raises(ConfigError, match="did you mean 'divergence/js_refitt'"):
        watch(30, {"divergence/js_refitt": 0.5}, 0.75)
    assert pruning_callback(tmp_path / "alone" / "00-run", Train()) is None
