"""A checkpoint named by its run, ``RUN@best`` and ``RUN@STEP``, for every verb that takes a run."""

import json

import pytest
from made_runs import made

from gantrain.cli.command import all_commands
from gantrain.cli.completion import offers

VERBS = [name for name, command in all_commands().items() if command.folder]
FRECHET = {500: 4.0, 900: 3.5, 1000: 5.0}


@pytest.fixture
def a_run(tmp_path):
    """A finished run with three checkpoints, whose best value is that of step 900."""
    best = {"tag": "divergence/frechet", "step": 900, "value": 3.5}
    result = {"step": 1000, "images": 9, "name": "a", "metrics": {"divergence/frechet": 5.0}, "best": best}
    result["tail"] = {"divergence/frechet": 4.9}
    history = [{"step": step, "divergence/frechet": value, "loss/g": 0.5} for step, value in FRECHET.items()]
    folder = made(tmp_path / "a", ["seed=1"], result, {"seed": 1, "name": "a"}, history, {1000: "red"})
    for step in FRECHET:
        checkpoint = folder / "checkpoints" / f"{step:06d}"
        checkpoint.mkdir(parents=True)
        state = {"step": step, "config": {"name": "a"}, "environment": {}, "best": best}
        (checkpoint / "state.json").write_text(json.dumps(state))
    return folder


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_that_takes_a_run_knows_its_checkpoints(a_run, run_cli, verb):
    words = ["out"] if verb == "export-data" else []
    code, _, err = run_cli(verb, f"{a_run}@700", *words)
    what = "has no checkpoint of step 700; there are 500, 1000, best (step 900)"
    assert (code, err) == (4, f"gantrain: error: {a_run}: {what}\n")


def test_init_from_knows_the_checkpoints_of_a_run(a_run, run_cli, no_run):
    code, _, err = run_cli(f"train.init_from={a_run}@700", "device=cpu")
    assert (code, "has no checkpoint of step 700; there are" in err) == (4, True)


def test_show_of_the_best_checkpoint_is_that_of_its_step(a_run, run_cli):
    code, out, _ = run_cli("show", f"{a_run}@best")
    assert (code, out.splitlines()[0]) == (0, "a: checkpoint of step 900 of a")


def test_compare_reads_a_run_at_a_checkpoint(a_run, run_cli):
    code, out, _ = run_cli("compare", a_run, f"{a_run}@best", f"{a_run}@500", "out=table")
    cells = [line.split() for line in out.splitlines()]
    assert code == 0
    assert [line for line in cells if line[:1] == ["a@900"]] == [["a@900", "3.5", "0", "step", "900"]]
    assert [line[1] for line in cells if line and line[0] in ("a", "a@500")] == ["4.0", "4.9"]


def test_compare_of_a_step_that_was_not_evaluated_says_how_to(a_run, run_cli):
    (a_run / "metrics.jsonl").write_text('{"step": 900, "loss/g": 0.5}\n')
    code, _, err = run_cli("compare", f"{a_run}@900", "out=table")
    what = "the run was not evaluated at that step; gantrain evaluate"
    assert (code, err) == (4, f"gantrain: error: {a_run}@900: {what} {a_run}@900\n")
    (a_run / "evaluation-000900.json").write_text('{"step": 900, "metrics": {"divergence/frechet": 2.5}}')
    code, out, _ = run_cli("compare", f"{a_run}@900", "out=table")
    assert (code, "2.5" in out) == (0, True)


def test_report_of_a_checkpoint_has_its_numbers_and_name(a_run, run_cli):
    code, out, _ = run_cli("report", f"{a_run}@best")
    page = (a_run / "report-000900.html").read_text()
    assert (code, out.startswith(f"{a_run}/report-000900.html")) == (0, True)
    assert "step 900" in page
    assert ">3.5" in page
    assert run_cli("report", a_run)[0] == 0
    assert "step 900: divergence/frechet 3.500 (lower is better)" in (a_run / "report.html").read_text()


def test_completion_offers_the_checkpoints_of_a_run(a_run):
    words = ["best", "1000", "900", "500"]
    assert list(offers(["sample", f"{a_run}@"])) == [f"{a_run}@{word}" for word in words]
    assert list(offers(["sample", f"{a_run}@9"])) == [f"{a_run}@900"]
    assert list(offers([f"train.init_from={a_run}@b"])) == [f"train.init_from={a_run}@best"]
