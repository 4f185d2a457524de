"""The search: draws that keep their bounds and repeat, a study that goes on, trials given up, fronts, and faults."""

import json
import math
import random
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from gantrain.config.options import Train
from gantrain.core.sweep_folder import Plan, SweepFolder
from gantrain.errors import CheckpointError, ConfigError, Pruned
from gantrain.sweeps.optuna.pruning import pruning_callback
from gantrain.sweeps.optuna.results import FIGURE, progress_line, write_results
from gantrain.sweeps.optuna.search import Search, resolve_search
from gantrain.sweeps.optuna.space import Dimension, corners
from gantrain.sweeps.optuna.study import SEARCH, Study, study_record
from hydra_plugins.gantrain_sweepers.optuna_sweeper import parse_dimension

RATE = Dimension("optimizer.d_lr", low=1e-4, high=1e-2, log=True)
SPACE = (
    RATE,
    Dimension("objective", choices=("minimax", "hinge")),
    Dimension("train.d_steps", low=1, high=5, whole=True),
)
BASIC = resolve_search(Search(n_trials=6, startup_trials=2, metric="divergence/js"))


def spanned(word: str) -> Dimension:
    return parse_dimension(OverridesParser.create().parse_override(word))


def ended(study: Study, job, metrics: dict, status: str = "finished", code: int | None = None) -> None:
    run = study.sweep.run(job)
    run.path.mkdir(exist_ok=True)
    result = {"status": status, "metrics": metrics} | ({} if code is None else {"exit_code": code})
    run.result_file.write_text(json.dumps(result))


def number_of(word: str) -> float:
    return float(word.partition("=")[2])


def cost(job) -> float:
    """Least at a rate of 1e-3 and three updates of D."""
    rate, objective, steps = job.overrides[-3:]
    distance = math.log10(number_of(rate)) + 3
    return distance**2 + (number_of(steps) - 3) ** 2 + (objective == "objective=hinge")


def searched(folder: Path, search: Search = BASIC, batch: int = 1) -> Study:
    """Search in a folder as a sweep does, with a cost in place of training."""
    study = Study(SweepFolder(folder), search, SPACE, ("dataset=ring",))
    while jobs := study.ask(batch):
        for job in jobs:
            ended(study, job, {"divergence/js": cost(job)})
        study.tell_results()
    study.sweep.write(Plan("", (), study.jobs()))
    return study


def words(study: Study) -> list[tuple[str, ...]]:
    return [job.overrides for job in study.jobs()]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("a.b=tag(log,interval(1e-4,1e-2))", Dimension("a.b", low=1e-4, high=1e-2, log=True)),
        ("a=int(interval(1,5))", Dimension("a", low=1, high=5, whole=True)),
        ("a=range(1,10,3)", Dimension("a", low=1, high=7, step=3, whole=True)),
        ("a=range(9,0,-3)", Dimension("a", low=3, high=9, step=3, whole=True)),
        ("a=choice(x,y)", Dimension("a", choices=("x", "y"))),
        ("a=x,y,x", Dimension("a", choices=("x", "y"))),
        ("a=choice(1,null)", Dimension("a", choices=("1", "null"))),
    ],
)
def test_the_sweep_syntax_of_hydra_spans_the_space(word, expected):
    if "null" in word:  # its grammar has no null in a choice; a plain list has
        word = "a=1,null"
    assert spanned(word) == expected


def test_a_range_of_fractions_ends_where_its_numbers_end():
    found = spanned("a=range(0.1,0.5,0.1)")
    assert (found.low, found.high, found.step) == (0.1, 0.4, 0.1)
    assert [found.format(0.1 + 0.1 * i) for i in range(4)] == ["0.1", "0.2", "0.3", "0.4"]


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("a=interval(2,1)", "write the smaller bound first"),
        ("a=tag(log,interval(0,1))", "begin above 0"),
        ("a=tag(lgo,interval(1,2))", "did you mean 'log'"),
        ("a=tag(log,choice(1,2))", "has choices on a logarithmic scale"),
        ("a=tag(log,range(1,9,2))", "has steps on a logarithmic scale"),
    ],
)
def test_a_space_that_cannot_be_is_refused_in_one_line(word, what):
    with pytest.raises(ConfigError, match=r"^a: ") as caught:
        spanned(word)
    assert what in str(caught.value)


@given(st.data())
def test_a_drawn_number_is_written_short_and_inside_its_bounds(data):
    low = data.draw(st.floats(1e-8, 1e3))
    high = data.draw(st.floats(low, 1e4))
    value = data.draw(st.floats(low, high))
    written = float(Dimension("a", low=low, high=high).format(value))
    assert low <= written <= high
    assert written == pytest.approx(value, rel=5.1e-4)


def test_numbers_are_whole_where_the_key_is():
    span = Dimension("train.d_steps", low=1.0, high=5.0)
    assert span.with_type_of(1).whole
    assert not span.with_type_of(1.0).whole
    assert not span.with_type_of(True).whole
    assert span.ends == ("1", "5")  # legal for keys of both kinds
    with pytest.raises(ConfigError, match="whole"):
        replace(span, high=2.5).with_type_of(1)


def test_the_edge_of_a_space_has_every_end_of_every_key_once_with_the_others_first():
    found = [tuple(number.partition("=")[2] for number in corner) for corner in corners(SPACE)]
    first, last = ("0.0001", "minimax", "1"), ("0.01", "hinge", "5")
    assert found[:2] == [first, last]
    assert set(found[2:]) == {("0.01", *first[1:]), ("0.0001", "hinge", "1"), (*first[:2], "5")}


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"metric": []}, "hydra.sweeper.metric"),
        ({"metric": ["divergence/js"] * 2}, "hydra.sweeper.metric"),
        ({"metric": "logits/real"}, "hydra.sweeper.direction"),
        ({"metric": "fidelity/sharpness"}, "hydra.sweeper.direction"),
        ({"metric": "divergence/js", "direction": "down"}, "hydra.sweeper.direction"),
        (
            {"metric": ["divergence/js", "diversity/modes"], "direction": "minimize"},
            "hydra.sweeper.direction",
        ),
        ({"metric": ["divergence/js", "diversity/modes"], "pruner": "median"}, "hydra.sweeper.pruner"),
        ({"metric": ["divergence/js", "diversity/modes"], "sampler": "cmaes"}, "hydra.sweeper.sampler"),
    ],
)
def test_a_search_that_does_not_go_together_names_the_key(changes, where):
    with pytest.raises(ConfigError, match=f"^{where}: "):
        resolve_search(Search(**changes))


def test_what_is_better_is_known_of_a_metric_and_several_are_never_pruned():
    search = resolve_search(Search(metric=["divergence/js", "diversity/modes"]))
    assert search.directions == ["minimize", "maximize"]
    assert not search.prunes
    assert resolve_search(Search(metric="divergence/js")).pruner == "median"
    assert resolve_search(Search(metric="divergence/js", direction="maximize")).directions == ["maximize"]


@pytest.mark.parametrize(
    "sampler",
    ["tpe", "random", "nsga2", *(pytest.param(name, marks=pytest.mark.slow) for name in ("qmc", "gp"))],
)
def test_a_search_in_two_attempts_draws_what_one_attempt_draws_and_keeps_the_bounds(sampler, tmp_path):
    search = replace(BASIC, sampler=sampler)
    whole = searched(tmp_path / "whole", search)
    searched(tmp_path / "parts", replace(search, n_trials=3))
    parts = searched(tmp_path / "parts", search)
    assert words(parts) == words(whole)
    assert len(set(words(whole))) > 3
    for rate, objective, steps in (job.overrides[-3:] for job in whole.jobs()):
        assert 1e-4 <= number_of(rate) <= 1e-2
        assert objective.partition("=")[2] in ("minimax", "hinge")
        assert steps.partition("=")[2] in "12345"
    assert words(searched(tmp_path / "seed", replace(search, seed=1))) != words(whole)


def test_the_number_of_a_trial_is_that_of_its_job_and_folder(tmp_path):
    study = searched(tmp_path / "s", batch=4)
    assert [job.number for job in study.jobs()] == [f"{trial.number:02d}" for trial in study.trials]
    assert len(study.jobs()) == 6
    longer = Study(SweepFolder(tmp_path / "s"), replace(BASIC, n_trials=1000), SPACE, ("dataset=ring",))
    assert [job.folder for job in longer.jobs()] == [job.folder for job in study.jobs()]


def test_the_sampler_learns_where_the_cost_is_least(tmp_path):
    search = replace(BASIC, n_trials=30, startup_trials=8)
    costs = [cost(job) for job in searched(tmp_path / "s", search).jobs()]
    assert sum(costs[-10:]) < sum(costs[:10]) / 2


def test_an_attempt_tells_what_ended_goes_on_with_what_was_stopped_and_draws_again_what_failed(tmp_path):
    study = Study(SweepFolder(tmp_path / "s"), BASIC, SPACE, ("dataset=ring",))
    for job, status in zip(study.ask(5), ["finished", "diverged", "failed", "killed", "failed"], strict=True):
        code = {"diverged": 6, "failed": 5, "killed": 137}.get(status)
        ended(study, job, {"divergence/js": 1.0}, status, 2 if job.number == "04" else code)
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


@pytest.mark.parametrize("metrics", [{}, {"divergence/js": math.nan}, {"divergence/js": math.inf}])
def test_a_number_that_is_none_fails_its_trial_and_nothing_else(metrics, tmp_path):
    study = Study(SweepFolder(tmp_path / "s"), BASIC, SPACE, ())
    first, second = study.ask(2)
    ended(study, first, metrics)
    ended(study, second, {"divergence/js": 2.0})
    assert study.tell_results() == ["trial 00 counts as failed: it has no finite divergence/js"]
    assert [trial.number for trial in study.best_trials()] == [1]
    assert "best divergence/js 2.000 in trial 1" in progress_line(study)


def test_a_search_of_another_kind_in_its_folder_is_refused_and_one_that_lost_its_storage_says_so(tmp_path):
    searched(tmp_path / "s", replace(BASIC, n_trials=2))
    with pytest.raises(ConfigError, match="another space"):
        Study(SweepFolder(tmp_path / "s"), BASIC, SPACE[:2], ("dataset=ring",))
    with pytest.raises(ConfigError, match="dataset=grid"):
        Study(SweepFolder(tmp_path / "s"), BASIC, SPACE, ("dataset=grid",))
    (tmp_path / "s" / "optuna.journal").unlink()
    with pytest.raises(CheckpointError, match="no longer holds the trials"):
        Study(SweepFolder(tmp_path / "s"), BASIC, SPACE, ("dataset=ring",))


def test_one_database_keeps_several_searches_apart_from_any_working_directory(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    search = replace(BASIC, n_trials=2, storage="sqlite:///study.db")
    searched(tmp_path / "a", search)
    assert len(searched(tmp_path / "b", replace(search, n_trials=3)).jobs()) == 3
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len(searched(tmp_path / "a", replace(search, n_trials=4)).jobs()) == 4
    assert not list(Path().iterdir())
    names = optuna.get_all_study_names(f"sqlite:///{tmp_path}/study.db")
    assert sorted(names) == [str(tmp_path / "a"), str(tmp_path / "b")]
    with pytest.raises(ConfigError, match="in memory"):
        study_record(replace(search, storage="sqlite:///:memory:"), SPACE, ())


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1), ("maximize", -1)])
def test_a_trial_is_given_up_where_it_is_worse_than_the_median_and_never_after_its_last_step(
    direction, sign, tmp_path
):
    search = replace(BASIC, direction=[direction], startup_trials=1, warmup=0.5)
    study = Study(SweepFolder(tmp_path / "s"), search, SPACE, ())
    options = Train(steps=40, evaluate_every=10)

    def plays(levels: list[float]) -> int:
        (job,) = study.ask(1)
        watch = pruning_callback(study.sweep.run(job).path, options)
        for step, level in zip((10, 20, 30, 40), levels, strict=True):
            try:
                watch(step, {"divergence/js": sign * level}, step / 40)
            except Pruned as error:
                ended(study, job, error.metrics, "pruned", error.exit_code)
                study.tell_results()
                return error.step if error.metrics == {"divergence/js": sign * level} else -1
        ended(study, job, {"divergence/js": sign * levels[-1]})
        study.tell_results()
        return 0

    assert plays([0.5, 0.4, 0.3, 0.2]) == 0  # nothing to compare it with
    assert plays([0.9, 0.8, 0.1, 0.1]) == 20  # half of the run is warm-up
    assert plays([0.9, 0.1, 0.1, 0.1]) == 0
    assert plays([0.5, 0.1, 0.1, 0.9]) == 0  # there is nothing to save after the last step
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "PRUNED", "COMPLETE", "COMPLETE"]


def test_a_trial_of_so_many_seconds_is_given_up_by_its_share_of_them_and_never_at_their_end(tmp_path):
    search = replace(BASIC, startup_trials=1, warmup=0.5)
    study = Study(SweepFolder(tmp_path / "s"), search, SPACE, ())
    options = Train(seconds=60, evaluate_every=10)
    options.resolve_budget(has_game=True)
    (job,) = study.ask(1)
    watch = pruning_callback(study.sweep.run(job).path, options)
    for step, share in ((10, 0.3), (20, 0.6), (30, 1.0)):
        watch(step, {"divergence/js": 0.1}, share)
    ended(study, job, {"divergence/js": 0.1})
    study.tell_results()
    (job,) = study.ask(1)
    watch = pruning_callback(study.sweep.run(job).path, options)
    watch(10, {"divergence/js": 0.9}, 0.49)  # half of the time is warm-up
    with pytest.raises(Pruned):
        watch(20, {"divergence/js": 0.9}, 0.5)
    watch(30, {"divergence/js": 0.9}, 1.0)


@pytest.mark.parametrize(
    "wrong", [{"metric": 5}, {"direction": 5}, {"metric": {"a": 1}}, {"metric": [[]]}], ids=str
)
def test_a_metric_or_direction_that_is_no_word_is_a_fault_of_the_users(wrong):
    with pytest.raises(ConfigError, match=r"hydra\.sweeper"):
        resolve_search(replace(Search(), **wrong))


def test_a_run_that_goes_on_tells_its_numbers_once_and_a_run_without_a_study_tells_none(tmp_path):
    study = Study(SweepFolder(tmp_path / "s"), BASIC, SPACE, ())
    (job,) = study.ask(1)
    for _ in range(2):
        watch = pruning_callback(study.sweep.run(job).path, Train(steps=40))
        watch(10, {"divergence/js": 0.5}, 0.25)
    watch(20, {"divergence/js": 0.4}, 0.5)
    assert study.trials[0].intermediate_values == {10: 0.5, 20: 0.4}
    with pytest.raises(ConfigError, match="did you mean 'divergence/jss'"):
        watch(30, {"divergence/jss": 0.5}, 0.75)
    assert pruning_callback(tmp_path / "alone" / "00-run", Train()) is None


def test_the_front_is_what_no_other_trial_beats(tmp_path):
    search = resolve_search(
        Search(n_trials=16, metric=["divergence/js", "diversity/modes"], sampler="random")
    )
    study = Study(SweepFolder(tmp_path / "s"), search, SPACE, ("dataset=ring", "sweep=optuna", "run.dir=s"))
    pairs, draw = {}, random.Random(0)
    for job in study.ask(16):
        pairs[int(job.number)] = draw.randrange(6), draw.randrange(6)
        ended(study, job, dict(zip(search.metrics, pairs[int(job.number)], strict=True)))
    study.tell_results()
    front = {
        n for n, (js, modes) in pairs.items()
        if not any(a <= js and b >= modes and (a, b) != (js, modes) for a, b in pairs.values())
    }  # fmt: skip
    assert (
        {trial.number for trial in study.best_trials()}
        == front
        == {t.number for t in study.optuna.best_trials}
    )
    told = write_results(study, "compare")
    assert f"front: {len(front)} trials" in told
    best = json.loads((tmp_path / "s" / SEARCH).read_text())["best"]
    assert {one["trial"] for one in best} == front
    assert best[0]["command"].startswith("gantrain dataset=ring optimizer.d_lr=")
    assert best[0]["command"].endswith(" metric=compare")
    assert (tmp_path / "s" / FIGURE).stat().st_size > 1000


EXACT = [
    "sweep=optuna", "dataset=gaussian_mixture", "model=gaussian", "metric=exact", "metric.n=100",
    "objective=likelihood", "device=cpu", "train.steps=6", "train.evaluate_every=2", "train.sample_every=0",
    "train.log_every=0", "train.checkpoint_every=0", "hydra.sweeper.metric=divergence/kl_exact", "optimizer.d_lr=0",
]  # fmt: skip


def results(folder: Path) -> dict[str, dict]:
    jobs = json.loads((folder / "sweep.json").read_text())["jobs"]
    found = [json.loads((folder / job["folder"] / "result.json").read_text()) for job in jobs]
    return {job["folder"]: {"set": job["overrides"][-1]} | one for job, one in zip(jobs, found, strict=True)}


def test_a_search_that_died_before_its_first_trial_is_resumed(run_cli, tmp_path, monkeypatch):
    def killed(*_: object) -> None:
        raise SystemExit(137)

    monkeypatch.setattr(Study, "tell_results", killed)
    assert run_cli(*EXACT, "run.dir=s", "hydra.sweeper.n_trials=1")[0] == 137
    assert json.loads((tmp_path / "s" / "sweep.json").read_text())["jobs"] == []
    assert run_cli("resume", "s")[0] == 137  # which came as far, and was not refused


def test_resume_runs_what_is_left_and_the_best_trial_can_be_trained_again(run_cli, tmp_path):
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


def test_hopeless_trials_are_pruned_and_the_others_finish(run_cli, tmp_path):
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
def test_a_diverging_trial_fails_and_the_search_goes_on(run_cli, tmp_path):
    code, out, error = run_cli(
        "sweep=optuna", "dataset=ring", "debug=tiny", "device=cpu", "metric=js", "metric.n=100", "train.steps=20",
        "optimizer=sgd", "optimizer.g_lr=0.001", "optimizer.d_lr=choice(1000,0.001)", "run.dir=s",
        "hydra.sweeper.metric=divergence/js", "hydra.sweeper.n_trials=2", "hydra.sweeper.sampler=random",
        "hydra.sweeper.seed=5",
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
        (["hydra.sweeper.n_trails=3"], "hydra.sweeper.n_trails: there is no such key; did you mean 'n_trials'?"),
        (["hydra.sweeper.metric=divergence/kl_exat"], "did you mean 'divergence/kl_exact'?"),
        (["optimizer.g_lr=interval(-1,1)"], "nothing was started: a corner of the space (optimizer.g_lr=-1"),
        (["optimizer.g_lr=1e-3"], "there is nothing to search"),
        (["hydra.sweeper.storage=nowhere"], "hydra.sweeper.storage: nowhere cannot be used"),
    ],
)  # fmt: skip
def test_a_wrong_search_starts_nothing_and_says_why_in_one_line(words, line, run_cli, tmp_path):
    code, _, error = run_cli(*EXACT, *words, "run.dir=s")
    assert code == 2
    assert line in error.splitlines()[-1]
    assert not (tmp_path / "s").exists()


def test_legal_values_that_do_not_go_together_cost_their_trial_and_nothing_else(run_cli, tmp_path):
    code, out, error = run_cli(
        "sweep=optuna", "dataset=ring", "debug=tiny", "device=cpu", "metric=js", "optimizer.g_lr=0", "optimizer.d_lr=0",
        "model.packing=choice(1,3)", "train.batch_size=choice(6,8,12)", "hydra.sweeper.metric=divergence/js",
        "hydra.sweeper.sampler=random", "hydra.sweeper.seed=1", "hydra.sweeper.n_trials=1", "run.dir=s",
    )  # fmt: skip
    ((name, result),) = results(tmp_path / "s").items()
    assert name == "00-packing3-batch_size8"
    assert (result["status"], result["exit_code"]) == ("failed", 2)
    assert "model.packing: must divide train.batch_size" in error
    assert code == 1
    assert "1 trial: 1 failed" in out
    assert "no trial has a best value" in out


def test_without_optuna_one_line_says_what_to_install(run_cli, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    code, _, error = run_cli(*EXACT, "run.dir=s")
    assert code == 2
    assert error.splitlines()[-1].endswith("pip install 'gantrain[sweeps]'")
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
def test_two_trials_at_a_time_in_a_database_end_as_one_search(run_cli, tmp_path):
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
