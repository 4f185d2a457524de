"""A study on disk: its settings by name, its metric before all, what it lays down, and its verdict."""

from dataclasses import replace

import numpy as np
import pytest
from made_runs import made

from gantrain.core.sweep_folder import STUDY, SweepFolder
from gantrain.core.sweep_folder import Plan as SweepPlan
from gantrain.errors import ConfigError
from gantrain.reports.ranking import rank_tag, why_no_ranking
from gantrain.reports.runs import read_rows
from gantrain.sweeps.study.definition import Study, read_study
from gantrain.sweeps.study.jobs import open_study, plan_study, write_study
from gantrain.sweeps.study.verdict import write_verdict

TAG = "diversity/modes"
LAID_DOWN = """question: Is it hinge?
settings: {few: [objective=hinge, train.d_steps=2], many: [objective=minimax]}
budget: {steps: 2}
seeds: 7
metric: diversity/modes
"""


def study_of(tmp_path, text: str = LAID_DOWN) -> Study:
    (tmp_path / "mine.yaml").write_text(text)
    return read_study(tmp_path / "mine.yaml")


def play(study: Study, sweep: SweepFolder, value) -> SweepPlan:
    """Write the runs of a study as if they had been trained; ``value`` is that of a job by its number."""
    plan = SweepPlan("gantrain study mine.yaml", (), plan_study(study, ()), metric=study.metric)
    sweep.path.mkdir(exist_ok=True)
    sweep.write(plan)
    for number, job in enumerate(plan.jobs):
        result = {
            "metrics": {TAG: value(number), "divergence/js_refit": 0.5},
            "cpu_seconds": 2.5,
            "images": 64,
        }
        made(sweep.run(job).path, list(job.overrides), result)
    return plan


def test_study_compares_its_settings_by_name_and_its_metric(tmp_path):
    study, sweep = study_of(tmp_path), SweepFolder(tmp_path / "s")
    noise = np.random.default_rng(0).random(14)
    plan = play(study, sweep, lambda number: (3 if number < 7 else 8) + noise[number])
    assert [job.folder for job in plan.jobs][:8:7] == ["00-few-seed0", "07-many-seed0"]
    rows = read_rows([sweep.run(job).path for job in plan.jobs])
    assert [dict(row.varied) for row in rows[:8:7]] == [
        {"setting": "few", "seed": "0"}, {"setting": "many", "seed": "0"},
    ]  # fmt: skip
    assert rank_tag(rows) == TAG  # js_refit stands before it in another sweep
    assert rank_tag([replace(row, metric="") for row in rows]) == "divergence/js_refit"

    printed = write_verdict(study, sweep, plan, ())
    assert "few by 4.9" in printed or "few by 5" in printed
    assert "worse than many" in printed
    text = (sweep.path / "study.md").read_text()
    for part in (
        "Is it hinge?",
        "| few | 7 | 7 | 448 | 18 |",
        "## Pairs",
        "settings: {few:",
        "not as laid down",
    ):
        assert (part in text) == (part != "not as laid down"), part
    assert "1 of 1 pair of settings is decided" in text
    page = (sweep.path / "study.html").read_text()
    assert page.count("<h2>Verdict</h2>") == 1
    assert "1 of 1 pair" in page
    assert "not as laid down: train.steps=9 was typed" in write_verdict(
        study, sweep, plan, ("train.steps=9",)
    )


def test_search_is_judged_by_seeds_that_did_not_choose(tmp_path):
    text = LAID_DOWN + "search: {grid: {optimizer.g_lr: [1e-4, 1e-3]}}\n"
    study, sweep = study_of(tmp_path, text), SweepFolder(tmp_path / "s")
    rng = np.random.default_rng(1)
    plan = play(study, sweep, lambda number: float(number // 7 + rng.random()))
    write_verdict(study, sweep, plan, ())
    rows = read_rows([sweep.run(job).path for job in plan.jobs])
    assert why_no_ranking(rows).startswith("its runs are trials of a search")
    page = (sweep.path / "study.md").read_text()
    assert "| few | 2 | optimizer.g_lr=0.001 |" in page
    assert "in each seed, of the trial that is best over the other seeds" in page
    assert (sweep.path / "study.png").read_bytes().startswith(b"\x89PNG")


def test_study_of_a_folder_cannot_be_laid_down_anew(tmp_path):
    study, sweep = study_of(tmp_path), SweepFolder(tmp_path / "s")
    sweep.path.mkdir()
    write_study(study, sweep)
    assert (sweep.path / STUDY).read_text() == LAID_DOWN
    assert open_study(str(tmp_path / "mine.yaml"), sweep).metric == TAG
    assert open_study("mine", sweep).seeds == study.seeds  # of the copy, where the file is gone
    study_of(tmp_path, LAID_DOWN.replace("diversity/modes", "diversity/coverage"))
    with pytest.raises(ConfigError, match="was laid down differently"):
        open_study(str(tmp_path / "mine.yaml"), sweep)
    with pytest.raises(ConfigError, match="there is no study"):
        open_study("mine", SweepFolder(tmp_path / "other"))


SMALL = LAID_DOWN.replace("seeds: 7", "seeds: 3").replace(
    "settings:",
    "words: [dataset=ring, metric=modes, metric.n=50, model.width=8, train.sample_every=0]\nsettings:",
)


@pytest.mark.slow
def test_study_runs_resumes_and_ends_with_its_verdict(run_cli, tmp_path):
    (tmp_path / "small.yaml").write_text(SMALL)
    code, out, error = run_cli("study", "small.yaml", "train.dry_run=true", "run.dir=s")
    assert (code, "6 runs" in out, (tmp_path / "s").exists()) == (0, True, False), error
    code, out, error = run_cli("study", "small.yaml", "run.dir=s")
    assert code == 0, error
    assert "small: Is it hinge?" in out
    verdict = (tmp_path / "s" / "study.md").read_text()
    assert "gantrain study small.yaml run.dir" in verdict.replace(str(tmp_path) + "/", "")
    # One run is lost: the same command, or resume without the file, makes it anew.

    (tmp_path / "s" / "1-few-seed1" / "result.json").unlink()
    (tmp_path / "small.yaml").unlink()
    code, out, error = run_cli("resume", "s")
    assert (code, "small: Is it hinge?" in out) == (0, True), error
    assert (tmp_path / "s" / "1-few-seed1" / "result.json").is_file()
    code, out, _ = run_cli("compare", "s", "out=c")
    assert (code, "setting  seeds  group" in out) == (0, True)
