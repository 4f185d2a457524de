"""Which jobs are played at once, which are refused, and a real sweep either way."""

import json
import re

import pytest
from composed import composed
from refusals import check_refusal

from gantrain.config.replicas import REPLICAS, with_seeds
from gantrain.config.resolve import resolve
from gantrain.core.override import values_by_key
from gantrain.core.run_folder import RunFolder
from gantrain.core.sweep_folder import Job, SweepFolder
from gantrain.errors import ConfigError
from gantrain.sweeps.replicas import plan_groups, split, with_numbers
from gantrain.training.replicas.limits import MAX_RUNS, NUMBERS, pays, why_not_together

RING = ("dataset=ring", "device=cpu", "model.width=32", "name=test")


def jobs_of(*lines):
    return [Job(f"{number}", tuple(line.split())) for number, line in enumerate(lines)]


def grouped(jobs, tmp_path, at_once=1, is_always=False, compose=None):
    configs = [resolve(composed(*RING, *job.overrides)) for job in jobs]
    compose = compose or (lambda job: composed(*RING, *job.overrides))
    groups, lines = plan_groups(SweepFolder(tmp_path), jobs, configs, compose, at_once, is_always)
    return [[int(job.number) for job in group] for group in groups], lines


def test_jobs_that_differ_in_numbers_alone_are_one_group(tmp_path):
    lines = [f"seed={seed} optimizer.d_lr={lr}" for seed in (0, 1) for lr in ("1e-4", "1e-3")]
    lines += [f"seed={seed} penalty=r1 penalty.gamma={gamma}" for seed in (0, 1) for gamma in (1, 10)]
    lines += ["objective=hinge", "seed=1 train.steps=7"]
    found, reasons = grouped(jobs_of(*lines), tmp_path)
    assert found == [[0, 1, 2, 3], [4, 5, 6, 7], [8], [9]]
    assert reasons == ["2 jobs run one by one: of this size and number that is faster"]


def test_checkpoints_of_one_step_go_on_together(tmp_path):
    for name, step in (("0", 5), ("1", 5), ("2", 10), ("3", 5), ("4", 5)):
        folder = tmp_path / name / "checkpoints" / f"{step:06d}"
        folder.mkdir(parents=True)
        (folder / "state.json").touch()
    assert grouped(jobs_of(*(f"seed={seed}" for seed in range(5))), tmp_path)[0] == [[0, 1, 3, 4], [2]]


def test_job_with_a_computed_key_has_its_own_process(tmp_path):
    jobs = jobs_of(*(f"seed={seed}" for seed in range(5)))

    def compose(job):  # as if the config said train.ema: a function of the seed
        plain = composed(*RING, *job.overrides)
        return plain | {"train": plain["train"] | {"batch_size": 99}}

    found, lines = grouped(jobs, tmp_path, is_always=True, compose=compose)
    assert found == [[0], [1], [2], [3], [4]]
    assert lines == ["4 jobs run one by one: a key of theirs is computed from one that differs"]


@pytest.mark.parametrize(
    ("jobs", "at_once", "sizes"),
    [(3, 2, [3]), (8, 1, [8]), (8, 2, [4, 4]), (9, 8, [4, 5]), (MAX_RUNS + 1, 1, [32, 33])],
)
def test_split_gives_each_process_its_part(jobs, at_once, sizes):
    parts = split([Job(f"{number}") for number in range(jobs)], at_once)
    assert [len(part) for part in parts] == sizes
    assert [int(job.number) for part in parts for job in part] == list(range(jobs))


def test_numbers_of_a_line_are_those_of_its_config():
    words = [
        "seed=7",
        "optimizer.g_lr=3e-4",
        "optimizer.schedule=linear",
        "train.ema=0.5",
        "penalty.gamma=0.2",
    ]
    changed = with_numbers(composed(*RING, "penalty=r1"), values_by_key(words))
    assert changed == composed(*RING, "penalty=r1", *words)
    assert {key.split("=")[0] for key in words} <= set(NUMBERS)


def test_pays_for_small_networks_and_several_runs():
    def found(runs, *words):
        return pays(resolve(composed("device=cpu", "name=test", *words)), runs)

    assert found(8, "dataset=ring", "model.width=32")
    assert not found(2, "dataset=ring", "model.width=32")
    assert not found(8, "dataset=ring", "model.width=1024")
    assert not found(8, "dataset=digits", "model=dcgan")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("train.seconds=5", "train.seconds counts the time"),
        ("train.d_gain=0.1", "train.d_gain reads a loss"),
        ("train.compare_gradients=true", "train.compare_gradients differentiates"),
        ("device.shards=2", "device.shards"),
        ("model.condition=conditional_batch_norm", "G moves statistics of its batches in place"),
        ("objective=likelihood model=gaussian", "likelihood is a loss of G alone"),
    ],
)
def test_what_cannot_be_played_at_once_is_named(words, reason):
    assert why_not_together(resolve(composed(*RING[:2], "name=test", *words.split()))).startswith(reason)


def test_train_replicas_stands_for_a_sweep_over_seeds():
    assert with_seeds(["a=1", "train.replicas=3", "seed=5"]) == [
        "a=1",
        "seed=range(5,8)",
        f"{REPLICAS}=always",
    ]
    assert with_seeds(["train.replicas=1", "seed=5"]) == ["seed=5"]
    assert with_seeds(["seed=5"]) == ["seed=5"]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("train.replicas=0", "is not a number of runs"),
        ("train.replicas=1.5", "is not a whole number"),
        ("train.replicas=2 seed=1,2", "seed is 1,2"),
        ("train.replicas=2 seed=null", "seed is null"),
        ("train.replicas=2 sweep=optuna", "a search has no place"),
        ("train.replicas=2 train.seconds=3", "train.seconds counts"),
        ("sweep.replicas=true", "this is one"),
        ("-m sweep.replicas=maybe seed=0,1", "choose from false, true, always"),
    ],
)
def test_words_that_make_no_replicas_are_refused(run_cli, words, what):
    got, out, err = run_cli("dataset=ring", *words.split())
    check_refusal(got, out, err, 2, (what,))


def test_key_in_a_config_says_where_it_is_read():
    with pytest.raises(ConfigError, match=r"the command line alone; type gantrain train\.replicas=3"):
        resolve(composed(*RING, "train.replicas=3"))


@pytest.mark.slow
def test_sweep_has_the_verdict_of_one_by_one(run_cli, tmp_path):
    words = ["dataset=ring", "model.width=16", "train.steps=60", "train.evaluate_every=20", "metric.n=200"]
    words += ["dataset.n=2000", "dataset.n_holdout=400", "train.sample_every=60", "train.log_every=20"]
    tables = []
    for name, own in {"jobs": "seed=range(4) -m", "at_once": "train.replicas=4"}.items():
        got, out, err = run_cli(*words, *own.split(), f"run.dir={tmp_path / name}")
        assert got == 0, err
        tables.append(re.search(r"^seeds .*?\n\n", out, re.S | re.M)[0])
    assert tables[0] == tables[1]
    plan = json.loads((tmp_path / "at_once" / "sweep.json").read_text())
    assert plan["groups"] == [[f"{seed}-seed{seed}" for seed in range(4)]]
    for seed in range(4):
        ours, solo = (RunFolder(tmp_path / name / f"{seed}-seed{seed}") for name in ("at_once", "jobs"))
        assert ours.result["metrics"] == pytest.approx(solo.result["metrics"], rel=1e-3, abs=1e-3)
        assert f"seed={seed}" in ours.overrides
        assert {*ours.overrides} ^ {*solo.overrides} == {f"run.dir={run.path.parent}" for run in (ours, solo)}
    (tmp_path / "at_once" / "2-seed2" / "result.json").unlink()
    assert run_cli("resume", str(tmp_path / "at_once"))[0] == 0
    assert run_cli("compare", str(tmp_path / "at_once"))[0] == 0
