"""A job's process: its GPU, its death, and its continuation to the same bits."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from composed import composed

from gantrain.config.resolve import resolve
from gantrain.core.run_folder import RunFolder
from gantrain.core.sweep_folder import Plan, SweepFolder
from gantrain.core.system import usable_cores
from gantrain.sweeps import process
from gantrain.sweeps.plan import plan_jobs
from gantrain.sweeps.process import assign_gpu
from gantrain.sweeps.task import Task
from gantrain.sweeps.worker import limit_resources
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState
from gantrain.training.threads import set_threads

RING = ["dataset=ring", "device=cpu", "model.width=16", "metric=none", "train.sample_every=0"]


def statuses(sweep: Path) -> list[tuple[str, int | None]]:
    results = [RunFolder(run).outcome() for run in sorted(sweep.iterdir()) if run.is_dir()]
    return [(result["status"], result.get("exit_code")) for result in results]


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


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_assign_gpu_deals_concurrent_jobs_out_evenly(count, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    dealt = [assign_gpu(number, {}) for number in range(6)]
    assert dealt == ([None] * 6 if count < 2 else [str(i % count) for i in range(6)])
    assert assign_gpu(1, {"device.index": "0"}) is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-a,7")
    if count == 3:
        assert [assign_gpu(number, {}) for number in range(4)] == ["4", "GPU-a", "7", "4"]


@pytest.mark.parametrize(("at_once", "cores"), [(1, 0), (2, 2), (3, 1), (4, 1), (8, 1)])
@pytest.mark.parametrize("launcher", ["joblib_launcher.JoblibLauncher", "submitit_launcher.LocalLauncher"])
def test_concurrent_job_gets_its_share_of_the_cores(tmp_path, monkeypatch, at_once, cores, launcher):
    jobs = plan_jobs([[f"seed={seed}"] for seed in range(8)], ["seed"])
    sweep, tasks = SweepFolder(tmp_path), list[Task]()
    sweep.write(Plan("", (), jobs, at_once, os.getpid()))
    for name in ("run_in_process", "run_submission"):
        monkeypatch.setattr(process, name, lambda task: tasks.append(task) or {"status": "finished"})
    for name in ("print_job", "print_progress"):
        monkeypatch.setattr(process, name, lambda *_: None)
    monkeypatch.setattr(process, "usable_cores", lambda: 4)
    process.run_job({}, sweep.run(jobs[0]).path, {}, launcher)
    assert [task.cores for task in tasks] == [cores]


def test_job_has_no_more_threads_than_its_share(monkeypatch, caplog):
    config = resolve(composed(*RING, "dataset.n=20", "dataset.n_holdout=5", "device.threads=2"))
    data = config.dataset.load(0)
    state = TrainState.create(config, data.spec, Runtime(config.device))
    before = torch.get_num_threads()
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "64")  # to be restored
    try:
        limit_resources(Task({}, RunFolder(Path("0-a")), "", {}, cores=1))
        set_threads(config, data, state)
        assert torch.get_num_threads() == usable_cores() == 1
    finally:
        torch.set_num_threads(before)
    assert "device.threads=2: this process may use 1 core" in caplog.text


def test_killed_job_ends_alone_and_resumes_to_the_same_bits(run_cli, tmp_path):
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
def test_failed_jobs_of_each_kind_leave_the_others_to_finish(launcher, tmp_path):
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
    for text in ("killed (137)", "diverged (6)", "failed (3)"):
        assert text in done.stdout
    shutil.copytree(tmp_path / "full", tmp_path / "empty", dirs_exist_ok=True)
    done = subprocess.run([*command, "resume", "sweep"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1  # a rate of 1000 diverges again
    assert statuses(tmp_path / "sweep") == [("finished", None), ("diverged", 6)] * 2
