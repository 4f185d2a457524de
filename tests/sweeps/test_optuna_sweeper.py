"""``gantrain sweep=optuna`` from the command line: resumed, pruned, failed, refused."""

import json
import shlex
import sys
from pathlib import Path

import optuna
import pytest

from gantrain.core.sweep_folder import SEARCH
from gantrain.sweeps.optuna.study import Study

EXACT = [
    "sweep=optuna", "dataset=gaussian_mixture", "model=gaussian", "metric=exact", "metric.n=100",
    "objective=likelihood", "device=cpu", "train.steps=6", "train.evaluate_every=2", "train.sample_every=0",
    "train.log_every=0", "train.checkpoint_every=0", "hydra.sweeper.metric=divergence/kl_exact", "optimizer.d_lr=0",
]  # fmt: skip


def results(folder: Path) -> dict[str, dict]:
    jobs = json.loads((folder / "sweep.json").read_text())["jobs"]
    found = [json.loads((folder / job["folder"] / "result.json").read_text()) for job in jobs]
    return {job["folder"]: {"set": job["overrides"][-1]} | one for job, one in zip(jobs, found, strict=True)}


def test_optuna_sweep_that_died_before_a_trial_is_resumed(run_cli, tmp_path, monkeypatch):
    def killed(*_: object) -> None:
        raise SystemExit(137)

    monkeypatch.setattr(Study, "tell_results", killed)
    assert run_cli(*EXACT, "run.dir=s", "hydra.sweeper.n_trials=1")[0] == 137
    assert json.loads((tmp_path / "s" / "sweep.json").read_text())["jobs"] == []
    assert run_cli("resume", "s")[0] == 137  # which came as far, and was not refused


def test_optuna_resume_runs_the_rest_and_the_best_can_be_rerun(run_cli, tmp_path):
    code, out, error = run_cli(*EXACT, "run.dir=s", "hydra.sweeper.n_trials=2")
    assert code == 0, error
    assert "optimizer.g_lr from 0.0001 to 0.01 (log)" in out
    before = {path: path.read_bytes() for path in (tmp_path / "s").glob("*/*.json*")}
    code, out, error = run_cli("resume", "s", "hydra.sweeper.n_trials=3")
    assert code == 0, error
    assert len(before) >= 4
    assert all(path.read_bytes() == content for path, content in before.items())
    found = results(tmp_path / "s")
    assert [name[:2] for name in found] == ["00", "01", "02"]
    (best,) = json.loads((tmp_path / "s" / SEARCH).read_text())["best"]
    least = min(found, key=lambda name: found[name]["metrics"]["divergence/kl_exact"])
    assert best["folder"] == least
    assert best["command"] in out
    _, *again = shlex.split(best["command"])
    assert len(set(again)) == len(again)
    code, _, error = run_cli(*again, "run.dir=again")
    assert code == 0, error
    assert json.loads((tmp_path / "again" / "result.json").read_text())["metrics"] == found[least]["metrics"]


@pytest.mark.slow
def test_optuna_prunes_hopeless_trials_and_finishes_the_others(run_cli, tmp_path):
    code, out, error = run_cli(
        *EXACT, "run.dir=s", "optimizer.g_lr=choice(0.1,0)", "hydra.sweeper.n_trials=3", "hydra.sweeper.sampler=random",
        "hydra.sweeper.startup_trials=1", "hydra.sweeper.warmup=0", "hydra.sweeper.seed=3",
    )  # fmt: skip
    assert code == 0, error
    found = list(results(tmp_path / "s").values())
    moving = [one for one in found if one["set"] == "optimizer.g_lr=0.1"]
    assert {one["status"] for one in moving} == {"finished"}
    frozen = [one for one in found[found.index(moving[0]) :] if one not in moving]
    assert frozen
    for one in frozen:
        assert (one["status"], one["step"], one["exit_code"]) == ("pruned", 2, 0)
        assert one["metrics"]["divergence/kl_exact"] > moving[0]["metrics"]["divergence/kl_exact"]
    assert f"{len(frozen)} pruned" in out
    assert "optimizer.g_lr=0.1 metric=exact" in out


@pytest.mark.slow  # that a job of a sweep which diverges stops no other is fast elsewhere
def test_optuna_goes_on_after_a_trial_that_diverged(run_cli, tmp_path):
    code, out, error = run_cli(
        "sweep=optuna", "dataset=ring", "debug=tiny", "device=cpu", "metric=js", "metric.n=100", "train.steps=20",
        "optimizer=sgd", "optimizer.g_lr=0.001", "optimizer.d_lr=choice(1000,0.001)", "run.dir=s",
        "hydra.sweeper.metric=divergence/js", "hydra.sweeper.direction=minimize", "hydra.sweeper.n_trials=2",
        "hydra.sweeper.sampler=random", "hydra.sweeper.seed=5",
    )  # fmt: skip
    found = list(results(tmp_path / "s").values())
    ends = {"optimizer.d_lr=1000": "diverged", "optimizer.d_lr=0.001": "finished"}
    assert [one["status"] for one in found] == [ends[one["set"]] for one in found]
    assert found[0]["status"] == "diverged"
    assert found[1]["status"] == "finished"
    assert code == 1
    assert "1 of 2 jobs failed" in error
    assert "1 complete, 1 failed" in out


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["hydra.sweeper.n_trails=3"], "there is no such key; did you mean 'hydra.sweeper.n_trials'?"),
        (["hydra.sweeper.metric=divergence/kl_exat"], "did you mean 'divergence/kl_exact'?"),
        (["optimizer.g_lr=interval(-1,1)"], "nothing was started: a corner of the space (optimizer.g_lr=-1"),
        (["optimizer.g_lr=1e-3"], "there is nothing to search"),
        (["hydra.sweeper.storage=nowhere"], "hydra.sweeper.storage: nowhere cannot be used"),
    ],
)  # fmt: skip
def test_optuna_search_that_is_wrong_starts_nothing(words, line, run_cli, tmp_path):
    code, _, error = run_cli(*EXACT, *words, "run.dir=s")
    assert code == 2
    assert line in error.splitlines()[-1]
    assert not (tmp_path / "s").exists()


def test_optuna_trial_with_an_invalid_config_fails_alone(run_cli, tmp_path):
    code, out, error = run_cli(
        "sweep=optuna", "dataset=ring", "debug=tiny", "device=cpu", "metric=js", "optimizer.g_lr=0", "optimizer.d_lr=0",
        "model.packing=choice(1,3)", "train.batch_size=choice(6,8,12)", "hydra.sweeper.metric=divergence/js",
        "hydra.sweeper.direction=minimize",
        "hydra.sweeper.sampler=random", "hydra.sweeper.seed=1", "hydra.sweeper.n_trials=1", "run.dir=s",
    )  # fmt: skip
    ((name, result),) = results(tmp_path / "s").items()
    assert name == "00-packing3-batch_size8"
    assert (result["status"], result["exit_code"]) == ("failed", 2)
    assert "model.packing: must divide train.batch_size" in error
    assert code == 1
    assert "1 trial: 1 failed" in out
    assert "no trial has a best value" in out
    words = ["hydra.sweeper.metric=divergence/js", "optimizer.g_lr=interval(0,1)", "run.dir=s"]
    _, _, error = run_cli("sweep=optuna", "dataset=ring", "device=cpu", *words)
    assert "hydra.sweeper.direction" not in error  # it is that of the search so far


def test_optuna_not_installed_names_what_installs_it(run_cli, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    code, _, error = run_cli(*EXACT, "run.dir=s")
    assert code == 2
    assert error.splitlines()[-1].endswith("pip install 'gantrain[sweeps]'")
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
def test_optuna_with_two_trials_at_once_in_a_database(run_cli, tmp_path):
    side_by_side = [
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
        "hydra.sweeper.storage=sqlite:///study.db",
    ]
    code, out, error = run_cli(*EXACT, *side_by_side, "run.dir=s", "hydra.sweeper.n_trials=5")
    assert code == 0, error
    assert "5 of 5 trials" in out
    assert [name[:2] for name in results(tmp_path / "s")] == ["00", "01", "02", "03", "04"]
    assert {one["status"] for one in results(tmp_path / "s").values()} <= {"finished", "pruned"}
    (trials,) = [
        optuna.load_study(study_name=name, storage="sqlite:///study.db").trials
        for name in optuna.get_all_study_names("sqlite:///study.db")
    ]
    assert len(trials) == 5
    assert all(trial.state.is_finished() for trial in trials)
