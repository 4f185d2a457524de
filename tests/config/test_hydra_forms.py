"""Forms that a user of Hydra types: each runs, or is refused with what works here."""

import re
import shlex

import pytest


@pytest.fixture
def jobs(run_cli, monkeypatch):
    """Return ``jobs(line) -> (exit code, the folders of the sweep's jobs, stderr)``, without a run."""
    monkeypatch.setattr(
        "gantrain.sweeps.launch.dry_run_report", lambda plan, _: " ".join(job.folder for job in plan.jobs)
    )

    def run(line: str) -> tuple[int, list[str], str]:
        code, out, err = run_cli(*shlex.split(line), "train.dry_run=true")
        return code, out.split(), err

    return run


@pytest.mark.parametrize(
    ("line", "folders"),
    [
        ("-m dataset=ring experiment=null,wgan_gp_toy", ["0-none", "1-wgan_gp_toy"]),
        ("hydra.mode=MULTIRUN seed=1,2", ["0-seed1", "1-seed2"]),
        ("-m hydra/sweeper=basic seed=1,2", ["0-seed1", "1-seed2"]),
    ],
)
def test_sweep_in_a_form_of_hydra_runs(line, folders, jobs):
    assert jobs(line) == (0, folders, "")


@pytest.mark.parametrize("values", ["seed=1,1", "optimizer.g_lr=1e-3,0.001", "experiment=null,none"])
def test_job_of_a_sweep_that_is_double_is_reported(values, jobs):
    code, folders, err = jobs(f"-m dataset=ring {values}")
    assert (code, len(folders)) == (0, 2)
    assert re.search("job #1 .* is the same run as job #0 .*; leave one of them out", err)


@pytest.mark.parametrize("group", ["experiment", "debug", "penalty", "noise", "augment"])
def test_null_is_the_choice_none(group, run_cli, no_run):
    assert run_cli(f"{group}=null")[2] == no_run


@pytest.mark.parametrize("word", ["model=null", "-m model=null,mlp", "-m dataset=ring,null"])
def test_null_is_no_choice_of_a_group_that_needs_one(word, run_cli):
    code, _, err = run_cli(*word.split())
    assert (code, "'null' is not one of its choices; choose from" in err) == (2, True), err


@pytest.mark.parametrize("line", ["", "sweep=learning_rates", "sweep=seeds", "hydra/sweeper=basic"])
def test_interval_names_the_search_that_draws_from_it(line, run_cli):
    code, _, err = run_cli("-m", "model.dropout=interval(0.1,0.2)", *line.split())
    assert (code, "add sweep=optuna" in err) == (2, True), err


@pytest.mark.parametrize(
    "text",
    [
        "train: {steps: 5}",
        "# Mine\n# @package _global_\ntrain: {steps: 5}",
        "defaults: [override /objective: hinge]",
        "defaults: [{/objective: hinge}]",
        "steps: 5",
    ],
)
def test_experiment_without_its_package_says_so(text, run_cli, tmp_path):
    (tmp_path / "mine/experiment").mkdir(parents=True)
    (tmp_path / "mine/experiment/own.yaml").write_text(f"{text}\n")
    code, _, err = run_cli("--config-dir", "mine", "experiment=own")
    assert (code, "make '# @package _global_' its first line" in err) == (2, True), err


@pytest.mark.parametrize("flag", ["--experiment", "--experimental", "--multi", "--config-d"])
def test_flag_that_is_cut_short_is_not_taken_for_another(flag, run_cli):
    code, _, err = run_cli(flag, "x.pickle")
    assert (code, f"unrecognized arguments: {flag}" in err) == (2, True), err
