"""``gantrain compare``: runs found wherever they are, what varies read from their configs, a folder for the files."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from made_runs import made

from gantrain.reports.figures import chart
from gantrain.reports.ranking import not_comparable, settings
from gantrain.reports.runs import read_rows, runs_under
from gantrain.reports.varying import value_text, varying_values


def config(objective: str = "minimax", seed: int = 0, **changed) -> dict:
    groups = {
        "seed": seed, "name": f"ring-{objective}",
        "run": {"root": "outputs", "dir": None},
        "dataset": {"name": "ring", "root": "/data", "modes": 8},
        "penalty": {"name": "wgan_gp" if objective == "wasserstein" else "none"},
        "objective": {"name": objective} | ({"label": 1.0} if objective == "least_squares" else {}),
        "optimizer": {"name": "adam", "d_lr": 0.001, "horizon": 100},
        "device": {"kind": "cpu", "threads": 1},
        "metric": {"names": ["js"], "n": 100},
        "train": {"steps": 100, "log_every": 10},
    }  # fmt: skip
    for key, value in changed.items():
        group, name = key.split("__")
        groups[group] = groups[group] | {name: value}
    return groups


def keys(*configs: dict, given: tuple[dict, ...] = ()) -> list[dict[str, str]]:
    return varying_values(given or tuple({} for _ in configs), configs, same_sweep=False)


def test_varying_values_are_those_of_the_resolved_configs():
    assert keys(config(), config(optimizer__d_lr=1e-4)) == [
        {"optimizer.d_lr": "0.001"},
        {"optimizer.d_lr": "0.0001"},
    ]
    assert keys(config(seed=1), config(seed=2)) == [{"seed": "1"}, {"seed": "2"}]


def test_varying_values_leave_out_what_another_key_explains():
    found = keys(config("minimax"), config("wasserstein"), config("least_squares"))
    assert found == [{"objective": "minimax"}, {"objective": "wasserstein"}, {"objective": "least_squares"}]
    another = config("wasserstein", penalty__name="r1")  # that does not follow
    assert {"objective": "wasserstein", "penalty": "r1"} in keys(
        config("minimax"), config("wasserstein"), another
    )


def test_varying_values_leave_out_machines_folders_and_intervals():
    other = config(
        dataset__root="/elsewhere", device__kind="cuda", run__dir="x", train__log_every=5, metric__n=7
    )
    assert keys(config(), other | {"name": "another"}) == [{}, {}]
    assert keys(config(), config(), given=({"device": "cpu"}, {"device": "cuda"})) == [{}, {}]
    assert keys(config(), config(), given=({}, {"sweep": "seeds"})) == [{}, {}]
    swept = varying_values(({"device": "cpu"}, {"device": "cuda"}), ({}, {}))  # of a sweep it was meant
    assert swept == [{"device": "cpu"}, {"device": "cuda"}]


def test_varying_values_of_a_key_typed_for_one_run_alone():
    found = keys(config(), config(optimizer__d_lr=0.01), given=({}, {"optimizer.d_lr": "1e-2"}))
    assert found == [{"optimizer.d_lr": "0.001"}, {"optimizer.d_lr": "0.01"}]
    named = keys(config("minimax"), config("fgan"), given=({}, {"objective": "fgan_kl"}))
    assert named == [
        {"objective": "minimax"},
        {"objective": "fgan_kl"},
    ]  # the option says more than its class


@given(some.integers(-(10**15), 10**15) | some.floats(allow_nan=False, allow_infinity=False))
def test_value_text_of_a_number_is_unique_however_typed(number):
    assert value_text(f"{number}") == value_text(number) == value_text(f" {number!r} ".strip())
    assert float(value_text(number)) == number
    assert value_text(number) != value_text(number + 1) or number + 1 == number


def test_value_text_of_a_path_is_its_last_part():
    assert (value_text("/home/me/cats/"), value_text("hinge"), value_text(True), value_text(None)) == (
        "cats",
        "hinge",
        "true",
        "null",
    )


@pytest.fixture
def tree(tmp_path) -> Path:
    """Two runs of one day, and a sweep of another with a job that never started and one in a deeper folder."""
    numbers = {"diversity/coverage": 0.5}
    made(tmp_path / "day" / "10-a", result={"metrics": numbers}, config=config(), pictures={0: "red"})
    made(tmp_path / "day" / "9-b", result={"metrics": numbers}, config=config("hinge"))
    sweep = tmp_path / "other" / "sweep"
    made(sweep / "0-x", result={"metrics": numbers}, config=config("wasserstein"))
    made(sweep / "1-y" / "inner", result={"metrics": numbers}, config=config("hinge", seed=1))
    jobs = [
        {"folder": f, "overrides": [f"objective={w}"]} for f, w in (("0-x", "wasserstein"), ("2-z", "hinge"))
    ]
    (sweep / "sweep.json").write_text(json.dumps({"command": "gantrain -m …", "jobs": jobs}))
    (tmp_path / "day" / "10-a" / "loop").symlink_to(tmp_path)
    (tmp_path / "day" / "loop").symlink_to(tmp_path)
    return tmp_path


def test_runs_under_a_folder_include_jobs_that_never_started(tree):
    found = [str(path.relative_to(tree)) for path in runs_under(tree)]
    sweep = "other/sweep/"
    assert found == ["day/9-b", "day/10-a", f"{sweep}0-x", f"{sweep}2-z", f"{sweep}1-y/inner"]
    assert runs_under(tree / "day" / "10-a" / "checkpoints" / "000100") == [tree / "day" / "10-a"]


def test_compare_prints_the_table_and_writes_a_folder(tree, run_cli, monkeypatch):
    monkeypatch.chdir(tree)
    before = {path for path in tree.rglob("*") if "loop" not in path.parts}
    code, out, error = run_cli("compare", tree / "day", tree / "other", tree / "day" / "9-b")
    assert code == 0, error
    assert "minimax" in out
    assert "1 of 5 runs did not finish\n2-z: missing" in out  # 9-b was named twice and counts once
    new = {path for path in tree.rglob("*") if "loop" not in path.parts} - before
    (folder,) = [path for path in new if path.is_dir()]
    assert folder.parent == tree
    assert folder.name.startswith("comparison-")
    assert {path.name for path in new - {folder}} == {
        "summary.csv",
        "summary.md",
        "summary.png",
        "samples.png",
    }
    code, out, _ = run_cli("compare", tree / "day")
    assert len(list(tree.glob("comparison-*"))) == 2  # the first is still what it was


def test_compare_rewrites_the_summary_of_a_sweep(tree, run_cli):
    sweep = tree / "flat"
    for i in range(2):
        made(sweep / f"{i}-x", result={"metrics": {"diversity/modes": 1.0 + i}}, config=config(seed=i))
    (sweep / "sweep.json").write_text('{"jobs": [{"folder": "0-x"}, {"folder": "1-x"}]}')
    (sweep / "summary.md").write_text("old")
    code, _, error = run_cli("compare", sweep)
    assert code == 0, error
    assert "old" not in (sweep / "summary.md").read_text()
    code, _, _ = run_cli("compare", sweep, f"out={sweep}")
    assert code == 0


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ([], 2, "names no run"),
        (["absent"], 4, "there is no such folder"),
        (["empty"], 4, "holds no runs"),
        (["day", "--fast"], 2, "has no such flag"),
        (["day", "metric=full"], 2, "metric: no run has full"),
        (["day", "metrics=full"], 2, "metrics: there is no such key"),
        (["day", "out=day"], 2, "is not empty"),
        (["day", "out=file"], 2, "is a file"),
        (["day", "out=file/inner"], 5, "a part of it is a file"),
    ],
)
def test_compare_reports_a_wrong_word_and_writes_nothing(tree, run_cli, monkeypatch, words, code, says):
    monkeypatch.chdir(tree)
    (tree / "empty").mkdir()
    (tree / "file").write_text("")
    before = sorted(tree.iterdir())
    found, _, error = run_cli("compare", *words)
    assert (found, error.count("\n")) == (code, 1)
    assert says in error
    assert sorted(tree.iterdir()) == before


def test_not_comparable_are_other_data_but_not_another_folder(tmp_path):
    same = [
        made(tmp_path / "a", config=config()),
        made(tmp_path / "b", config=config(dataset__root="/moved")),
    ]
    assert not_comparable(read_rows(same[:1])) == []
    assert [line for line in not_comparable(read_rows(same)) if "data" in line] == []
    other = made(tmp_path / "c", config=config(dataset__name="grid"))
    assert "the data differ (ring; grid): no number is comparable across them" in not_comparable(
        read_rows([*same, other])
    )
    wide = made(tmp_path / "d", config=config(dataset__modes=4))
    assert (
        "the data differ (ring, modes 8; ring, modes 4): no number is comparable across them"
        in not_comparable(read_rows([same[0], wide]))
    )


def test_not_comparable_reports_a_seed_that_is_there_twice(tmp_path):
    paths = [made(tmp_path / f, result={}, config=config(seed=0)) for f in "ab"]
    paths.append(made(tmp_path / "c", result={}, config=config(seed=1)))
    (line,) = not_comparable(read_rows(paths))
    assert "has a seed more than once" in line
    assert [len(setting.runs) for setting in settings(read_rows(paths))] == [3]


def test_settings_keep_runs_that_differ_in_nothing_apart(tmp_path):
    found = read_rows([made(tmp_path / f, result={}, config=config()) for f in "ab"])
    assert [setting.label for setting in settings(found)] == ["a", "b"]
    assert not_comparable(found) == []


def test_chart_cuts_no_words_at_its_edge(tmp_path):
    tag, paths = "generator/radius", []
    for place, words in enumerate(itertools.product(("none", "r1_weak"), ("simultaneous", "alternating"))):
        plain = config("non_saturating" if place else "minimax")
        plain |= {"train": {"update": words[1]}, "penalty": {"name": words[0]}}
        result = {"metrics": {tag: 0.5}, "published": {tag: 0.5}}
        paths.append(made(tmp_path / f"{place}", result=result, config=plain))
    pixels = np.asarray(chart(read_rows(paths)))
    assert pixels.min() < 100
    assert (pixels[:, [0, 1, -2, -1]] == 255).all()


def test_rows_of_folders_with_one_name_have_their_paths(tmp_path):
    found = read_rows([made(tmp_path / day / "0-run", result={}, config=config()) for day in ("mon", "tue")])
    assert [row.name for row in found] == ["mon/0-run", "tue/0-run"]


def test_row_of_a_run_that_is_training_is_unfinished(tmp_path):
    running = made(tmp_path / "a", config=config(), history=[{"step": 10, "loss/d": 1.0}])
    assert [row.ending for row in read_rows([running, tmp_path / "b"])] == ["unfinished", "missing"]
