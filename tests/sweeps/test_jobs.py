"""A sweep's jobs: named, checked before the first, each in a process of its own, and run again only where it failed."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantrain.config.options import Train
from gantrain.config.resume import conflicting_keys
from gantrain.core.run_folder import RunFolder
from gantrain.core.sweep_folder import Job, Plan, SweepFolder
from gantrain.core.system import usable_cores
from gantrain.errors import ConfigError, DataError, GantrainError, OutputError
from gantrain.sweeps.launch import check_all, concurrent_jobs, sweep_lock
from gantrain.sweeps.plan import is_done, open_sweep, plan_jobs
from gantrain.sweeps.process import assign_gpu

RING = ["dataset=ring", "device=cpu", "model.width=16", "metric=none", "train.sample_every=0"]


def lines(text: str) -> list[str]:
    return text.strip().splitlines()


def digests(run: Path) -> dict[str, str]:
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(run.rglob("*"))
        if path.is_file()
    }


def statuses(sweep: Path) -> list[tuple[str, int | None]]:
    results = [RunFolder(run).outcome() for run in sorted(sweep.iterdir()) if run.is_dir()]
    return [(result["status"], result.get("exit_code")) for result in results]


@given(st.lists(st.tuples(st.text(max_size=30), st.integers(0, 10**9)), min_size=1, max_size=120))
def test_names_are_short_unique_sort_as_their_numbers_and_hold_no_sign_that_a_shell_reads(values):
    jobs = plan_jobs([[f"name={text}", f"seed={seed}"] for text, seed in values], ["name", "seed"])
    names = [job.folder for job in jobs]
    assert all(re.fullmatch(r"[A-Za-z0-9._+-]{1,24}", name) for name in names)
    assert sorted(names) == names
    assert [int(job.number) for job in jobs] == list(range(len(values)))


def test_a_name_says_what_varies_and_of_a_path_its_last_part():
    words = ["dataset=ring", "objective=hinge", "optimizer.d_lr=4e-4", "seed=2", "dataset.root='/data/cats/'"]
    (job,) = plan_jobs([words], ["objective", "optimizer.d_lr", "seed"])
    assert job.folder == "0-hinge-d_lr4e-4-seed2"
    (job,) = plan_jobs([words], ["dataset.root"])
    assert job.folder == "0-cats"
    (job,) = plan_jobs(
        [["optimizer.g_lr=0.0009085", "optimizer.d_lr=0.0067"]], ["optimizer.g_lr", "optimizer.d_lr"]
    )
    assert job.folder == "0-g_lr0.0009085"  # not d_lr0.00


def test_a_folder_takes_the_same_sweep_again_and_no_other(tmp_path):
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


def test_a_sweep_is_not_run_twice_at_once_and_a_folder_of_the_users_own_is_left_alone(tmp_path):
    sweep, mine = SweepFolder(tmp_path / "sweep"), SweepFolder(tmp_path / "mine")
    with sweep_lock(sweep):
        sweep.write(Plan("", (), plan_jobs([["seed=0"]], ["seed"])))
        with pytest.raises(OutputError, match="another gantrain is writing here"), sweep_lock(sweep):
            pass
    with sweep_lock(sweep):
        pass
    mine.path.mkdir()
    (mine.path / "letter.txt").touch()
    with pytest.raises(ConfigError, match="is not empty"), sweep_lock(mine):
        pass
    assert [path.name for path in mine.path.iterdir()] == ["letter.txt"]


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
def test_a_job_is_done_when_nothing_is_left_of_it(result, options, done):
    assert is_done(result, options) is done


def test_what_was_torn_or_is_not_a_result_reads_as_missing(tmp_path):
    assert RunFolder(tmp_path).outcome() == {"status": "missing"}
    for text in ("", '{"status": "fin', "[]", "{}"):
        (tmp_path / "result.json").write_text(text)
        assert RunFolder(tmp_path).outcome() == {"status": "missing"}


def test_jobs_at_once_are_what_the_launcher_takes_and_never_more_than_there_are():
    assert concurrent_jobs({}, 5) == 1
    for n in (1, 2, 3):
        assert concurrent_jobs({"n_jobs": n}, 2) == min(n, 2)
    assert concurrent_jobs({"n_jobs": -1}, 1000) == usable_cores()
    local = "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher"
    assert concurrent_jobs({"_target_": local}, 5) == 5
    assert concurrent_jobs({"_target_": local.replace("Local", "Slurm")}, 5) == 1


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_jobs_side_by_side_are_dealt_out_to_the_gpus_evenly(count, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    dealt = [assign_gpu(number, {}) for number in range(6)]
    assert dealt == ([None] * 6 if count < 2 else [str(i % count) for i in range(6)])
    assert assign_gpu(1, {"device.index": "0"}) is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-a,7")
    if count == 3:
        assert [assign_gpu(number, {}) for number in range(4)] == ["4", "GPU-a", "7", "4"]


def test_every_wrong_job_is_named_and_missing_data_stop_a_sweep_only_when_no_job_has_them(capsys):
    jobs = plan_jobs([["a=1"], ["a=2"], ["a=3"]], ["a"])

    def check(job: Job, faults: dict[str, GantrainError]) -> str:
        if job.number in faults:
            raise faults[job.number]
        return job.folder

    absent = DataError("/data", "is empty", "fill it")
    wrong = ConfigError("a", "is out of range", "give 1")
    assert check_all(jobs, lambda job: check(job, {"1": absent})) == ["0-a1", None, "2-a3"]
    assert "job #1 (a=2) will fail unless fixed" in capsys.readouterr().err
    with pytest.raises(DataError, match="is empty"):
        check_all(jobs, lambda job: check(job, dict.fromkeys("012", absent)))
    with pytest.raises(ConfigError) as caught:
        check_all(jobs, lambda job: check(job, {"0": absent, "1": wrong, "2": wrong}))
    assert str(caught.value) == "nothing was started: job #1 (a=2): a: is out of range; give 1"
    assert capsys.readouterr().err == "gantrain: job #2 (a=3): a: is out of range; give 1\n"


def test_another_run_is_one_with_another_key_that_matters():
    before = {"seed": 0, "name": "a", "run": {"dir": "x"}, "train": {"steps": 5, "ema": 0.5}}
    now = {"seed": 0, "name": "b", "run": {"dir": "y"}, "train": {"steps": 9, "ema": 0.5}}
    assert conflicting_keys(before, now) == []
    now |= {"seed": 1, "train": {"steps": 9, "ema": 0.6, "unroll": 1}}
    assert conflicting_keys(before, now) == ["seed", "train.ema", "train.unroll"]


def test_a_wrong_value_anywhere_starts_nothing_and_names_its_job(run_cli, tmp_path):
    code, _, err = run_cli("-m", *RING, "model.width=64,-3", "train.steps=5,0", "run.dir=sweep")
    assert code == 2
    first, second, last = lines(err)
    assert first.startswith(
        "gantrain: job #2 (model.width=-3 train.steps=5): model.width: -3 is out of range"
    )
    assert second.startswith("gantrain: job #3 (model.width=-3 train.steps=0): ")
    assert last.startswith(
        "gantrain: error: nothing was started: job #1 (model.width=64 train.steps=0): train.steps"
    )
    assert not list(tmp_path.iterdir())


def test_a_ready_sweep_needs_no_flag_and_the_command_line_wins_over_it(run_cli, tmp_path):
    code, _, err = run_cli("sweep=seeds", *RING, "train.steps=1", "seed=range(2)", "run.dir=sweep")
    assert code == 0, err
    assert [run.name for run in sorted((tmp_path / "sweep").iterdir()) if run.is_dir()] == [
        "0-seed0",
        "1-seed1",
    ]


def test_a_sweep_again_runs_what_failed_and_leaves_the_rest_byte_for_byte(run_cli, tmp_path):
    from PIL import Image

    full, empty = tmp_path / "full", tmp_path / "empty"
    full.mkdir(), empty.mkdir()
    for i in range(40):
        Image.new("RGB", (8, 8), (i, 2 * i, 255 - i)).save(full / f"{i}.png")
    words = [
        "debug=tiny",
        "metric=none",
        "model.width=8",
        "train.batch_size=4",
        "train.steps=1",
        "device=cpu",
    ]
    sweep = ["-m", "dataset=image_folder", f"dataset.root={full},{empty}", *words, "run.dir=sweep"]
    code, out, err = run_cli(*sweep)
    assert code == 1
    assert lines(err)[-1].startswith(f"gantrain: error: {tmp_path}/sweep: 1 of 2 jobs failed; ")
    assert statuses(tmp_path / "sweep") == [("finished", None), ("failed", 3)]
    assert "failed (3)" in out
    before = digests(tmp_path / "sweep/0-full")
    for path in full.iterdir():
        shutil.copy(path, empty)
    code, out, err = run_cli("resume", "sweep")
    assert code == 0, err
    assert statuses(tmp_path / "sweep") == [("finished", None)] * 2
    assert digests(tmp_path / "sweep/0-full") == before
    code, _, err = run_cli(*sweep)  # the same words again: nothing is left to do
    assert code == 0, err
    assert digests(tmp_path / "sweep/0-full") == before
    code, _, err = run_cli("resume", "sweep", "train.batch_size=8")
    assert code == 2
    assert lines(err)[-1].startswith(
        "gantrain: error: train.batch_size: would make it another sweep; only these"
    )
    code, _, err = run_cli("resume", "sweep", "train.steps=2")
    assert code == 0, err
    assert [RunFolder(run).outcome()["step"] for run in (tmp_path / "sweep").iterdir() if run.is_dir()] == [
        2,
        2,
    ]


def kill_when(run: Path, step: int, number: int) -> threading.Thread:
    """Kill the process of a run once its log has reached a step; an event file's name ends in the process's number."""

    def wait() -> None:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            log = run / "metrics.jsonl"
            if log.exists() and any(f'"step": {step},' in line for line in log.read_text().splitlines()):
                (events,) = run.glob("events.out.tfevents.*")
                os.kill(int(events.name.rpartition(".")[2]), number)
                return
            time.sleep(0.02)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_killed_job_ends_alone_and_goes_on_from_its_checkpoint_to_the_same_bits(run_cli, tmp_path):
    words = [*RING, "train.steps=400", "train.log_every=20", "train.checkpoint_every=20", "seed=3"]
    thread = kill_when(tmp_path / "sweep/0-minimax", 60, signal.SIGKILL)
    code, out, err = run_cli("-m", *words, "objective=minimax,hinge", "run.dir=sweep")
    thread.join()
    assert code == 1
    assert statuses(tmp_path / "sweep") == [("killed", 137), ("finished", None)]
    assert "gantrain: job 0: killed by SIGKILL" in err
    assert "killed (137)" in out
    assert run_cli("resume", "sweep")[0] == 0
    assert run_cli(*words, "objective=minimax", "run.dir=whole")[0] == 0
    one, other = (
        tmp_path / name / "checkpoints/000400/tensors.safetensors" for name in ("sweep/0-minimax", "whole")
    )
    assert one.read_bytes() == other.read_bytes()
    logged = [
        json.loads(line)["step"] for line in (one.parents[2] / "metrics.jsonl").read_text().splitlines()
    ]
    assert logged == sorted(set(logged))


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_one_diverges_one_has_no_data_one_is_killed_and_the_others_finish(launcher, tmp_path):
    from PIL import Image

    (tmp_path / "full").mkdir(), (tmp_path / "empty").mkdir()
    for i in range(80):
        Image.new("RGB", (8, 8), (i, 2 * i, 255 - i)).save(tmp_path / "full" / f"{i}.png")
    words = [
        "dataset=image_folder", "dataset.root=full,empty", "optimizer.d_lr=0.001,1000", "optimizer.schedule=constant",
        "device=cpu", "model.width=16", "metric=none", "train.steps=150", "train.batch_size=16", "train.log_every=10",
        "train.checkpoint_every=10", "optimizer.g_lr=${optimizer.d_lr}", f"hydra/launcher={launcher}", "run.dir=sweep",
    ]  # fmt: skip
    command = [sys.executable, "-m", "gantrain"]
    thread = kill_when(tmp_path / "sweep/0-full-d_lr0.001", 30, signal.SIGKILL)
    done = subprocess.run([*command, "-m", *words], cwd=tmp_path, capture_output=True, text=True)
    thread.join()
    assert done.returncode == 1, done.stderr
    found = statuses(tmp_path / "sweep")
    assert found == [("killed", 137), ("diverged", 6), ("failed", 3), ("failed", 3)]
    for said in ("killed (137)", "diverged (6)", "failed (3)"):
        assert said in done.stdout
    shutil.copytree(tmp_path / "full", tmp_path / "empty", dirs_exist_ok=True)
    done = subprocess.run([*command, "resume", "sweep"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1  # a rate of 1000 diverges again
    assert statuses(tmp_path / "sweep") == [("finished", None), ("diverged", 6)] * 2


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_a_signal_saves_every_job_that_runs_and_resume_completes_the_sweep(launcher, tmp_path):
    words = [*RING, "train.steps=400000", "train.log_every=20", "train.checkpoint_every=0", "seed=range(3)"]
    command = [sys.executable, "-m", "gantrain"]
    process = subprocess.Popen(
        [*command, "-m", *words, f"hydra/launcher={launcher}", "run.dir=sweep"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    log = tmp_path / "sweep/0-seed0/metrics.jsonl"
    until = time.monotonic() + 120
    while not (log.exists() and '"step": 100,' in log.read_text()) and time.monotonic() < until:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does: the launcher's workers get it too
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "go on with: gantrain resume" in lines(err)[-1]
    found = statuses(tmp_path / "sweep")
    assert ("interrupted", 130) in found
    assert {status for status, _ in found} <= {"interrupted", "missing"}
    done = subprocess.run(
        [*command, "resume", "sweep", "train.steps=300"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    results = [RunFolder(run).outcome() for run in sorted((tmp_path / "sweep").iterdir()) if run.is_dir()]
    assert [result["status"] for result in results] == ["finished"] * 3
