"""A run's folder and a sweep's: what was written reads back, and what is broken or absent is told apart."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from made_runs import made

from gantrain.core.files import write_json
from gantrain.core.history import last_values
from gantrain.core.run_folder import RunFolder, is_checkpoint, is_run, is_sweep
from gantrain.core.sweep_folder import Job, Plan, SweepFolder
from gantrain.errors import CheckpointError, OutputError

CONFIG = {"name": "ring", "train": {"steps": 40, "seconds": None}}
PLAN = Plan("gantrain -m seed=0,1", ("-m", "seed=0,1"), (Job("0-seed0", ("seed=0",)), Job("1-seed1")), 2, 7)


def checkpoint(run: Path, name: str, state: str = '{"environment": {"torch": "2"}}') -> Path:
    folder = run / "checkpoints" / name
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(state)
    return folder


def test_run_folder_reads_back_what_a_run_wrote(tmp_path):
    history = [{"step": 10, "loss/d": 1.5}, {"step": 20, "loss/d": None, "loss/g": 2}]
    run = RunFolder(made(tmp_path / "r", ["seed=3", "dataset=ring"], {"step": 40}, CONFIG, history))
    assert run.config == CONFIG
    assert (run.result["status"], run.status, run.step, run.planned_steps) == ("finished", "finished", 40, 40)
    assert run.outcome() == run.result
    assert run.overrides == ["seed=3", "dataset=ring"]
    assert run.history == history
    assert last_values(run.history, 10) == {"loss/d": 1.5}
    last = last_values(run.history)
    assert last["loss/g"] == 2
    assert last["loss/d"] != last["loss/d"]  # NaN: it was not finite


def test_run_folder_of_a_real_run_reads_back(run_cli, tmp_path):
    words = ["dataset=ring", "model.width=16", "train.steps=4", "train.checkpoint_every=2", "metric=none"]
    assert run_cli(*words, "device=cpu", "run.dir=r")[0] == 0
    run = RunFolder(tmp_path / "r")
    assert is_run(run.path)
    assert not is_sweep(run.path)
    assert (run.status, run.step, run.planned_steps) == ("finished", 4, 4)
    assert run.overrides[: len(words)] == words
    assert run.config["train"]["steps"] == 4
    assert run.history[-1]["step"] == 4
    assert run.checkpoints == [run.checkpoint(2), run.checkpoint(4)]
    assert all(path.is_file() for path in (run.log_file, run.metrics_file, *run.event_files, *run.pictures))
    assert run.environment["device"] == "cpu"
    assert not run.is_locked


def test_run_folder_that_is_absent_reads_as_empty(tmp_path):
    run = RunFolder(tmp_path / "none")
    assert (run.config, run.result, run.history, run.overrides, run.environment) == ({}, {}, [], [], {})
    assert (run.status, run.step, run.newest_checkpoint) == ("missing", 0, None)
    assert run.outcome() == {"status": "missing"}
    assert not is_run(run.path)


@pytest.mark.parametrize("text", ["{", "[]", "7", "[" * 100_000])
@pytest.mark.parametrize("part", ["config", "result"])
def test_run_folder_reports_a_broken_file_or_reads_it_as_empty(tmp_path, part, text):
    run = made(tmp_path / "r", [], {"step": 40}, CONFIG)
    (run / f"{part}.json").write_text(text)
    with pytest.raises(CheckpointError, match=rf"{part}\.json"):
        getattr(RunFolder(run), part)
    assert getattr(RunFolder(run, strict=False), part) == {}
    assert RunFolder(run).outcome()["status"] == ("missing" if part == "result" else "finished")


def test_run_folder_skips_lines_that_are_half_written(tmp_path):
    run = RunFolder(tmp_path)
    run.metrics_file.write_text('{"step": 1, "a": 2}\nnull\n{"a": 1}\n{"step": 2, "a": 3}\n{"step": 3, "a"')
    assert [row["step"] for row in run.history] == [1, 2]


@pytest.mark.parametrize("text", ["", "{", "seed: 1", "3"])
def test_run_folder_has_no_overrides_where_hydras_file_is_broken(tmp_path, text):
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "overrides.yaml").write_text(text)
    assert RunFolder(tmp_path).overrides == []


def test_run_folder_finds_the_newest_whole_checkpoint(tmp_path):
    for name in ("1000000", "000020", "999999", ".part-7"):
        checkpoint(tmp_path, name)
    (tmp_path / "checkpoints" / "2000000").mkdir()  # without a state
    run = RunFolder(tmp_path)
    assert [path.name for path in run.checkpoints] == ["000020", "999999", "1000000"]
    assert run.newest_checkpoint == tmp_path / "checkpoints" / "1000000"
    assert is_checkpoint(run.newest_checkpoint)
    assert not is_checkpoint(tmp_path)
    assert RunFolder.of(run.newest_checkpoint) == RunFolder.of(tmp_path)
    assert run.environment == {"torch": "2"}
    assert run.step == 1000000


def test_run_folder_that_went_on_and_died_is_stopped(tmp_path):
    history = [{"step": 50, "loss/d": 1.0}]
    assert RunFolder(made(tmp_path / "a", [], {"step": 40}, CONFIG, history)).status == "stopped"
    assert RunFolder(made(tmp_path / "b", [], None, CONFIG)).status == "stopped"
    longer = CONFIG | {"train": {"steps": 60}}
    assert RunFolder(made(tmp_path / "c", [], {"step": 40}, longer)).status == "stopped"


def test_run_folder_is_locked_while_a_process_writes_there(tmp_path):
    held = "import sys; from pathlib import Path; from gantrain.core.run_folder import RunFolder\n"
    held += f"with RunFolder(Path({str(tmp_path)!r})).lock():\n    print(flush=True)\n    sys.stdin.read()"
    assert not RunFolder(tmp_path).is_locked
    with subprocess.Popen([sys.executable, "-c", held], stdin=-1, stdout=-1) as other:
        other.stdout.readline()
        assert RunFolder(tmp_path).is_locked
        assert SweepFolder(tmp_path).is_locked
        assert RunFolder(tmp_path).status == "running"
        with pytest.raises(OutputError, match="another gantrain"), RunFolder(tmp_path).lock():
            pass
        other.stdin.close()
    assert not RunFolder(tmp_path).is_locked


def test_sweep_folder_reads_back_its_plan(tmp_path):
    sweep = SweepFolder(tmp_path)
    assert (sweep.plan(), sweep.jobs(), sweep.command()) == (None, [], "")
    assert not is_sweep(tmp_path)
    sweep.write(PLAN)
    assert (sweep.plan(), sweep.jobs(), sweep.command()) == (PLAN, list(PLAN.jobs), PLAN.command)
    assert is_sweep(tmp_path)
    assert sweep.run(PLAN.jobs[0]).path == tmp_path / "0-seed0"
    assert PLAN.jobs[0].number == "0"


@pytest.mark.parametrize(
    "torn", ["{", "[]", '{"jobs": 7}', '{"jobs": ["a"]}', '{"jobs": [{"overrides": []}]}']
)
def test_sweep_folder_reports_a_broken_plan_or_reads_what_it_can(tmp_path, torn):
    sweep = SweepFolder(tmp_path)
    sweep.plan_file.write_text(torn)
    with pytest.raises(CheckpointError, match=r"sweep\.json"):
        sweep.plan()
    with pytest.raises(CheckpointError, match=r"sweep\.json"):
        sweep.jobs()
    assert sweep.jobs(strict=False) == []


def test_sweep_folder_runs_no_job_of_a_plan_that_is_not_whole(tmp_path):
    sweep = SweepFolder(tmp_path)
    jobs = [{"folder": "0-a", "overrides": ["seed=1"]}]
    write_json(sweep.plan_file, {"jobs": jobs})
    assert sweep.jobs() == [Job("0-a", ("seed=1",))]
    with pytest.raises(CheckpointError, match="cannot be read"):
        sweep.plan()
    sweep.plan_file.write_text(json.dumps({"jobs": [*jobs, None, {"folder": "1-b", "overrides": 5}]}))
    assert sweep.jobs(strict=False) == [Job("0-a", ("seed=1",)), Job("1-b")]


def test_lock_removes_what_killed_processes_left(tmp_path):
    left = [
        ".events.out.tfevents.1.x.part",
        ".result.json.99.part",
        ".gantrain-1-a.part",
        "samples/.x.png.9.part",
    ]
    kept = ["notes.part", "samples/000001.png", "checkpoints/000002/state.json"]
    for name in [*left, *kept, "checkpoints/.part-7/state.json", "checkpoints/.part-old-000001/state.json"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"half")
    with RunFolder(tmp_path).lock():
        found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {*kept, ".lock"}
    assert not list((tmp_path / "checkpoints").glob(".*"))
