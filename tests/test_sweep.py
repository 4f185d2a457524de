"""A sweep's table: what varied, one row a run, means over seeds with the worst named, files beside."""

import csv
import json
import statistics
from pathlib import Path

import pytest

from gantrain.summary import beside_published, tail_means, warned
from gantrain.sweep import columns, markdown, rows, run_table, seed_table, summarise


def made(root: Path, number: int, overrides: list[str], result: dict | None) -> Path:
    folder = root / f"{number}-job"
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "overrides.yaml").write_text(json.dumps(overrides))
    if result is not None:
        (folder / "result.json").write_text(json.dumps({"status": "finished", "seconds": 2.0} | result))
    return folder


@pytest.fixture
def folders(tmp_path) -> list[Path]:
    modes = {("minimax", 0): 8.0, ("minimax", 1): 5.0, ("hinge", 0): 7.0, ("hinge", 1): 6.0}
    found = []
    for number, ((objective, seed), value) in enumerate(modes.items()):
        words = ["dataset=ring", f"objective={objective}", f"seed={seed}"]
        metrics = {"diversity/modes": value, "diversity/mode_kl": 8 - value, "fidelity/novel": 1.0}
        found.append(made(tmp_path, number, words, {"metrics": metrics, "tail": {"loss/d": 1.0}}))
    return found


def test_only_what_varies_is_a_column_and_numbers_are_those_of_the_results(folders):
    found = rows(folders)
    assert [dict(row.varied) for row in found][1] == {"objective": "minimax", "seed": "1"}
    head, *lines = run_table(found)
    assert head == ["run", "objective", "seed", "diversity/modes", "diversity/mode_kl", "seconds", "status"]
    assert lines[1] == ["1", "minimax", "1", "5.000", "3.000", "2", "finished"]
    assert len(lines) == 4


def test_seeds_become_mean_and_sd_and_the_worst_is_named_in_the_direction_that_is_worse(folders):
    head, *lines = seed_table(rows(folders))
    assert head[:2] == ["objective", "seeds"]
    assert [line[:2] for line in lines] == [["minimax", "2"], ["hinge", "2"]]
    sd = statistics.stdev([8.0, 5.0])
    assert lines[0][2] == f"6.500 ± {sd:.3f} (5.000, seed 1)"  # fewer modes are worse
    assert lines[0][3] == f"1.500 ± {sd:.3f} (3.000, seed 1)"  # a larger mode_kl is worse
    assert seed_table(rows(folders[::2])) == []


def test_published_numbers_choose_the_columns_and_stand_beside_the_tail(tmp_path):
    runs = [
        made(tmp_path, i, [f"objective.divergence={name}"], {
            "metrics": {"divergence/js": 9.0}, "tail": {"generator/mu": mu, f"divergence/{name}": d, "loss/d": 1.0},
            "published": {"generator/mu": 1.0, f"divergence/{name}": 0.5},
        })
        for i, (name, mu, d) in enumerate([("kl", 1.02, 0.49), ("pearson", 0.98, 0.51)])
    ]  # fmt: skip
    found = rows(runs)
    assert columns(found) == ["generator/mu", "divergence/kl", "divergence/pearson"]
    head, first, second = run_table(found)
    assert head[1] == "objective.divergence"
    assert first[2:5] == ["1.020 (1.000)", "0.490 (0.500)", ""]
    assert second[2:5] == ["0.980 (1.000)", "", "0.510 (0.500)"]


def test_runs_that_failed_or_left_nothing_are_named_and_count_in_no_mean(tmp_path, folders):
    bad = made(
        tmp_path, 7, ["dataset=ring", "objective=hinge", "seed=2"], {"status": "diverged", "metrics": {}}
    )
    gone = made(tmp_path, 8, ["dataset=ring", "objective=hinge", "seed=3"], None)
    found = rows([*folders, bad, gone])
    assert [line[-1] for line in run_table(found)[-2:]] == ["diverged", "missing"]
    hinge = seed_table(found)[2]
    assert hinge[1] == "4"
    assert hinge[2].startswith("6.500 ± 0.707")


def test_the_files_hold_every_number_and_the_same_table(tmp_path, folders):
    said = summarise(tmp_path, folders)
    with (tmp_path / "summary.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["fidelity/novel"]) for line in lines] == [1.0] * 4
    assert [float(line["diversity/modes"]) for line in lines] == [8, 5, 7, 6]
    page = (tmp_path / "summary.md").read_text()
    assert markdown(run_table(rows(folders))) in page
    assert "summary.csv" in said
    assert "in brackets" not in said


def test_a_sweep_prints_its_table_at_the_end(run_cli, tmp_path):
    words = ["debug=tiny", "dataset=ring", "device=cpu", "metric=js", "train.steps=2", "run.dir=s"]
    code, out, error = run_cli("-m", *words, "objective=minimax,hinge", "seed=0,1")
    assert code == 0, error
    assert "objective  seed" in out
    assert "seeds  divergence/js (worst seed)" in out
    with (tmp_path / "s" / "summary.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["objective"], line["seed"]) for line in lines] == [
        ("minimax", "0"), ("minimax", "1"), ("hinge", "0"), ("hinge", "1"),
    ]  # fmt: skip
    for line in lines:
        result = json.loads((tmp_path / "s" / line["run"] / "result.json").read_text())
        assert float(line["divergence/js"]) == result["metrics"]["divergence/js"]


def test_a_runs_published_numbers_stand_in_columns_beside_the_means_of_its_last_fifth():
    history = [{"step": step, "loss/d": float(step)} for step in range(0, 101, 10)]
    tail = tail_means(history, 100)
    assert tail == {"loss/d": 95.0}  # of steps 90 and 100
    lines = beside_published(
        tail, {"loss/d": 94.5, "generator/a_tag_that_is_longer_than_the_heading": 1e-6}
    ).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1].split() == ["loss/d", "94.5000", "95.0000"]
    assert lines[2].split()[1:] == ["1.0000e-06", "not", "read"]
    assert beside_published(tail, {}) == ""


def test_a_metric_with_a_warning_says_it_beside_the_numbers_it_was_made_with():
    made = {"kernel": "Gaussian", "sigma": 0.20443, "grid": [0.00026, 2.6], "n": 10000, "warning": "swings"}
    assert (
        warned({"js": {"n": 3}, "parzen": made})
        == "parzen     sigma 0.204, grid 0.00026 to 2.6, n 10000: swings"
    )
    assert warned({"js": {"n": 3}}) == ""
