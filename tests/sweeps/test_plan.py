"""A sweep's jobs: their names, which of them are done, and the folder that takes only the same jobs again."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantrain.config.options import Train
from gantrain.core.run_folder import RunFolder
from gantrain.core.sweep_folder import Plan, SweepFolder
from gantrain.errors import ConfigError
from gantrain.sweeps.plan import is_done, open_sweep, plan_jobs


@given(st.lists(st.tuples(st.text(max_size=30), st.integers(0, 10**9)), min_size=1, max_size=120))
def test_job_names_are_short_unique_sorted_and_safe_in_a_shell(values):
    jobs = plan_jobs([[f"name={text}", f"seed={seed}"] for text, seed in values], ["name", "seed"])
    names = [job.folder for job in jobs]
    assert all(re.fullmatch(r"[A-Za-z0-9._+-]{1,24}", name) for name in names)
    assert sorted(names) == names
    assert [int(job.number) for job in jobs] == list(range(len(values)))


def test_job_name_shows_what_varies_and_the_last_part_of_a_path():
    words = ["dataset=ring", "objective=hinge", "optimizer.d_lr=4e-4", "seed=2", "dataset.root='/data/cats/'"]
    (job,) = plan_jobs([words], ["objective", "optimizer.d_lr", "seed"])
    assert job.folder == "0-hinge-d_lr4e-4-seed2"
    (job,) = plan_jobs([words], ["dataset.root"])
    assert job.folder == "0-cats"
    (job,) = plan_jobs(
        [["optimizer.g_lr=0.0009085", "optimizer.d_lr=0.0067"]], ["optimizer.g_lr", "optimizer.d_lr"]
    )
    assert job.folder == "0-g_lr0.0009085"  # not d_lr0.00


def test_open_sweep_takes_the_same_sweep_again_and_no_other(tmp_path):
    def plan(*seeds: int, steps: int = 5) -> Plan:
        words = [[f"seed={seed}", f"train.steps={steps}", f"run.dir={tmp_path}"] for seed in seeds]
        return Plan("", (), plan_jobs(words, ["seed"]))

    open_sweep(SweepFolder(tmp_path / "a"), plan(0, 1))
    open_sweep(SweepFolder(tmp_path / "a"), plan(0, 1, steps=9))  # a key that may change
    for other in (plan(0, 2), plan(0, 1, 2)):
        with pytest.raises(ConfigError, match="holds another sweep"):
            open_sweep(SweepFolder(tmp_path / "a"), other)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.txt").touch()
    with pytest.raises(ConfigError, match="is not empty"):
        open_sweep(SweepFolder(tmp_path / "b"), plan(0))


@pytest.mark.parametrize(
    "result, options, done",
    [
        ({"status": "finished", "step": 5}, Train(steps=5), True),
        ({"status": "finished", "step": 5}, Train(steps=6), False),
        ({"status": "finished", "step": 5, "training_seconds": 2.0}, Train(steps=9, seconds=2.0), True),
        ({"status": "finished", "step": 5, "training_seconds": 2.0}, Train(steps=9, seconds=3.0), False),
        ({"status": "pruned", "step": 2}, Train(steps=5), True),
        ({"status": "diverged", "step": 5}, Train(steps=5), False),
        ({"status": "missing"}, Train(steps=1), False),
    ],
)
def test_is_done_when_nothing_is_left_of_a_job(result, options, done):
    assert is_done(result, options) is done


def test_outcome_of_a_torn_result_is_missing(tmp_path):
    assert RunFolder(tmp_path).outcome() == {"status": "missing"}
    for text in ("", '{"status": "fin', "[]", "{}"):
        (tmp_path / "result.json").write_text(text)
        assert RunFolder(tmp_path).outcome() == {"status": "missing"}
