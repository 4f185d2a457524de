"""Stopping a sweep: signals reach every job, a second one quits at once, and no process is left."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gantrain.core.run_folder import RunFolder
from gantrain.core.signals import SIGNALS
from gantrain.core.sweep_folder import SweepFolder
from gantrain.errors import Interrupted
from gantrain.sweeps.stop import forward_signals, read_signals
from gantrain.sweeps.worker import Task, main, run_task

RING = ["dataset=ring", "device=cpu", "model.width=16", "metric=none", "train.sample_every=0"]


SHORT = ["dataset=ring", "metric=none", "train.sample_every=0"]


def lines(text: str) -> list[str]:
    return text.strip().splitlines()


def statuses(sweep: Path) -> list[tuple[str, int | None]]:
    results = [RunFolder(run).outcome() for run in sorted(sweep.iterdir()) if run.is_dir()]
    return [(result["status"], result.get("exit_code")) for result in results]


def started(folder: Path, *words: str, jobs: int = 1) -> subprocess.Popen[str]:
    """Start a sweep of two runs that would take hours, and return when so many of them have a checkpoint."""
    command = [
        sys.executable,
        "-m",
        "gantrain",
        "-m",
        *SHORT,
        "train.steps=10000000",
        "train.checkpoint_every=5",
    ]
    process = subprocess.Popen(
        [*command, "seed=0,1", *words, f"run.dir={folder}"], text=True, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    while process.poll() is None:
        saved = {path.parents[2] for path in folder.glob("*/checkpoints/[0-9]*/state.json")}
        if len(saved) >= jobs:
            break
        time.sleep(0.05)
    return process


def alive(group: int) -> bool:
    """Whether any process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_signal_is_forwarded_and_a_second_quits_with_its_code(tmp_path):
    def stopped() -> None:
        sweep = SweepFolder(tmp_path)
        with forward_signals(sweep):
            os.kill(os.getpid(), signal.SIGTERM)
            assert read_signals(sweep) == [signal.SIGTERM]
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="gantrain resume") as left:
        stopped()
    assert left.value.exit_code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_signal_that_cannot_be_forwarded_is_not_lost(tmp_path):
    SweepFolder(tmp_path).stop_file.symlink_to("/dev/full")
    with pytest.raises(Interrupted) as left, forward_signals(SweepFolder(tmp_path)):
        os.kill(os.getpid(), signal.SIGTERM)
    assert left.value.exit_code == 128 + signal.SIGTERM


def test_signal_before_training_ends_the_job_as_interrupted(tmp_path, monkeypatch):
    sweep, run = SweepFolder(tmp_path), RunFolder(tmp_path / "0-a")
    run.path.mkdir()
    task = Task({}, run, "", {})

    def job() -> None:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # as a launcher's worker does
        main(task)

    monkeypatch.setattr("gantrain.sweeps.worker.train_or_resume", lambda _: os.kill(os.getpid(), 15))
    process = multiprocessing.get_context("fork").Process(target=job)
    process.start()
    process.join(60)
    assert (process.exitcode, run.outcome()["status"]) == (143, "interrupted")

    run.result_file.unlink()
    sweep.stop_file.write_text("2\n")  # forwarded before the job was there
    assert (run_task(task), run.outcome()["status"]) == (130, "interrupted")


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_signal_saves_running_jobs_and_resume_completes_them(launcher, tmp_path):
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


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")])
def test_two_signals_end_a_sweep_and_all_its_processes(tmp_path, words):
    process = started(tmp_path / "s", *words)
    for _ in range(2):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.02)  # two of a kind that are both pending are one
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "gantrain resume" in err
    assert "Traceback" not in err
    claimed = subprocess.run(["flock", "-w", "30", tmp_path / "s" / "0-seed0" / ".lock", "true"])
    assert claimed.returncode == 0  # nothing writes there any more


@pytest.mark.slow
def test_killed_sweep_leaves_no_worker(tmp_path):
    # A worker that has had no job yet runs none of this program's code, and waits joblib's 300 s.
    process = started(tmp_path / "s", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", jobs=2)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(process.pid)
