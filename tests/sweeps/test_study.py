"""The trials of a search: draws that repeat, results reported to Optuna, a study that is resumed."""

import math
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from made_searches import BASIC, SPACE, conclude_job, cost, number_of, run_search, words

from gantrain.core.sweep_folder import SweepFolder
from gantrain.errors import CheckpointError, ConfigError
from gantrain.sweeps.optuna.results import progress_line
from gantrain.sweeps.optuna.storage import study_record, with_absolute_url
from gantrain.sweeps.optuna.study import Study


@pytest.mark.parametrize(
    "sampler",
    ["tpe", "random", "nsga2", *(pytest.param(name, marks=pytest.mark.slow) for name in ("qmc", "gp"))],
)
def test_study_in_two_attempts_draws_the_same_in_its_bounds(sampler, tmp_path):
    search = replace(BASIC, sampler=sampler)
    whole = run_search(tmp_path / "whole", search)
    run_search(tmp_path / "parts", replace(search, n_trials=3))
    parts = run_search(tmp_path / "parts", search)
    assert words(parts) == words(whole)
    assert len(set(words(whole))) > 3
    for rate, objective, steps in (job.overrides[-3:] for job in whole.jobs()):
        assert 1e-4 <= number_of(rate) <= 1e-2
        assert objective.partition("=")[2] in ("minimax", "hinge")
        assert steps.partition("=")[2] in "12345"
    assert words(run_search(tmp_path / "seed", replace(search, seed=1))) != words(whole)


def test_study_numbers_a_trial_as_its_job_and_folder(tmp_path):
    study = run_search(tmp_path / "s", batch=4)
    assert [job.number for job in study.jobs()] == [f"{trial.number:02d}" for trial in study.trials]
    assert len(study.jobs()) == 6
    longer = Study(SweepFolder(tmp_path / "s"), replace(BASIC, n_trials=1000), SPACE, ("dataset=ring",))
    assert [job.folder for job in longer.jobs()] == [job.folder for job in study.jobs()]


def test_study_learns_where_the_cost_is_lowest(tmp_path):
    search = replace(BASIC, n_trials=30, startup_trials=8)
    costs = [cost(job) for job in run_search(tmp_path / "s", search).jobs()]
    assert sum(costs[-10:]) < sum(costs[:10]) / 2


def test_study_resumes_each_trial_by_how_it_ended(tmp_path):
    study = Study(SweepFolder(tmp_path / "s"), BASIC, SPACE, ("dataset=ring",))
    for job, status in zip(study.ask(5), ["finished", "diverged", "failed", "killed", "failed"], strict=True):
        code = {"diverged": 6, "failed": 5, "killed": 137}.get(status)
        conclude_job(study, job, {"divergence/js_refit": 1.0}, status, 2 if job.number == "04" else code)
    study.tell_results()
    before = {job.number: job for job in study.jobs()}
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "FAIL", "RUNNING", "FAIL"]

    study = Study(
        SweepFolder(tmp_path / "s"), BASIC, SPACE, ("dataset=ring", "device=cpu")
    )  # elsewhere, the same search
    study.enqueue_failed()
    study.enqueue_failed()  # as an attempt that was stopped at once
    assert [job.folder for job in study.unfinished_jobs()] == [before["03"].folder]
    again, fresh = study.ask(9)
    assert again.number == "05"
    assert set(again.overrides) == {*before["02"].overrides, "device=cpu"}  # of 02, whose disk was full
    assert fresh.overrides[-3:] not in [job.overrides[-3:] for job in before.values()]
    assert [job.number for job in study.jobs()] == ["00", "01", "03", "04", "05", "06"]
    assert not study.ask(1)


@pytest.mark.parametrize(
    "metrics", [{}, {"divergence/js_refit": math.nan}, {"divergence/js_refit": math.inf}]
)
def test_study_fails_only_the_trial_without_a_finite_value(metrics, tmp_path):
    study = Study(SweepFolder(tmp_path / "s"), BASIC, SPACE, ())
    first, second = study.ask(2)
    conclude_job(study, first, metrics)
    conclude_job(study, second, {"divergence/js_refit": 2.0})
    assert study.tell_results() == ["trial 00 counts as failed: it has no finite divergence/js_refit"]
    assert [trial.number for trial in study.best_trials()] == [1]
    assert "best divergence/js_refit 2.000 in trial 1" in progress_line(study)


def test_study_refuses_another_search_and_a_lost_storage(tmp_path):
    run_search(tmp_path / "s", replace(BASIC, n_trials=2))
    with pytest.raises(ConfigError, match="another space"):
        Study(SweepFolder(tmp_path / "s"), BASIC, SPACE[:2], ("dataset=ring",))
    with pytest.raises(ConfigError, match="dataset=grid"):
        Study(SweepFolder(tmp_path / "s"), BASIC, SPACE, ("dataset=grid",))
    (tmp_path / "s" / "optuna.journal").unlink()
    with pytest.raises(CheckpointError, match="no longer holds the trials"):
        Study(SweepFolder(tmp_path / "s"), BASIC, SPACE, ("dataset=ring",))


def test_study_keeps_the_searches_of_one_database_apart(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    search = replace(BASIC, n_trials=2, storage="sqlite:///study.db")
    run_search(tmp_path / "a", search)
    assert len(run_search(tmp_path / "b", replace(search, n_trials=3)).jobs()) == 3
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match=f"give hydra.sweeper.storage=sqlite:///{tmp_path}/study.db"):
        run_search(tmp_path / "a", search)
    absolute = replace(search, n_trials=4, storage=f"sqlite:///{tmp_path}/study.db")
    assert len(run_search(tmp_path / "a", absolute).jobs()) == 4
    assert not list(Path().iterdir())
    names = optuna.get_all_study_names(f"sqlite:///{tmp_path}/study.db")
    assert sorted(names) == [str(tmp_path / "a"), str(tmp_path / "b")]
    with pytest.raises(ConfigError, match="in memory"):
        study_record(replace(search, storage="sqlite:///:memory:"), SPACE, ())


def test_storage_of_a_sweep_is_the_same_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    word = with_absolute_url("hydra.sweeper.storage=sqlite:///my study.db")
    assert word == f"hydra.sweeper.storage='sqlite:///{tmp_path}/my study.db'"
    for other in (word, "seed=0,1", "-m", "hydra.sweeper.storage=mysql://host/x"):
        assert with_absolute_url(other) == other
