"""Stopping a sweep: signals reach every job, a second one quits at once, and no process is left."""

import fcntl
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from gantrain.core.run_folder import RunFolder
from gantrain.core.signals import SIGNALS, unblock_signals
from gantrain.core.sweep_folder import SweepFolder
from gantrain.errors import Interrupted
from gantrain.sweeps.stop import UntilStopped, forward_signals, shielded_children
from gantrain.sweeps.task import Task
from gantrain.sweeps.worker import main

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
        "device.compile=false",
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


def test_signal_is_forwarded_and_a_second_quits_with_its_code(tmp_path, monkeypatch):
    monkeypatch.setattr("gantrain.sweeps.stop.ECHO_SECONDS", 0)

    def stopped() -> None:
        sweep = SweepFolder(tmp_path)
        with forward_signals(sweep):
            os.kill(os.getpid(), signal.SIGTERM)
            assert sweep.signals() == [signal.SIGTERM]
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="gantrain resume") as left:
        stopped()
    assert left.value.exit_code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("is_shared", [False, True])
def test_repeated_signal_is_one_request(tmp_path, is_shared):
    sweep = SweepFolder(tmp_path)
    with forward_signals(sweep, is_shared):
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            os.kill(os.getpid(), number)
            time.sleep(0.01)  # where another thread takes them, this one handles them a little later
    assert sweep.signals() == [signal.SIGTERM]


def test_processes_of_a_launcher_get_no_signal_unblocked():
    blocked = "import signal; print(*sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, []))))"
    with shielded_children():
        done = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True)
    assert set(map(int, done.stdout.split())) >= set(SIGNALS)
    assert not set(SIGNALS) & signal.pthread_sigmask(signal.SIG_BLOCK, [])

    def job() -> None:
        os.kill(os.getpid(), signal.SIGTERM)  # as Ctrl-C to all processes of the terminal, before it is a job
        unblock_signals()
        os._exit(3 if set(SIGNALS) & signal.pthread_sigmask(signal.SIG_BLOCK, []) else 0)

    with shielded_children():
        process = multiprocessing.get_context("fork").Process(target=job)
        process.start()
    process.join(30)
    assert process.exitcode == 0


def test_launcher_gets_no_more_jobs_after_a_signal(tmp_path):
    sweep, taken = SweepFolder(tmp_path), []
    jobs = UntilStopped([["seed=0"], ["seed=1"], ["seed=2"]], sweep)
    for job in jobs:
        taken += job
        if len(taken) == 2:
            sweep.stop_file.write_text("15\n")
    assert (taken, len(jobs), list(jobs)) == (["seed=0", "seed=1"], 3, [])


@pytest.mark.parametrize("text", ["", "x", "-1 0 999", "1e3", "\x00", "९"])
def test_signals_of_a_sweep_are_those_that_exist(tmp_path, text):
    (tmp_path / ".stop").write_text(f"{text}\n15\n")
    assert SweepFolder(tmp_path).signals() == [15]


def test_signal_that_cannot_be_forwarded_is_not_lost(tmp_path):
    SweepFolder(tmp_path).stop_file.symlink_to("/dev/full")
    with pytest.raises(Interrupted) as left, forward_signals(SweepFolder(tmp_path)):
        os.kill(os.getpid(), signal.SIGTERM)
    assert left.value.exit_code == 128 + signal.SIGTERM


def ended_job(job: Callable[[], None]) -> int | None:
    """Return the exit code of a job's process."""
    process = multiprocessing.get_context("fork").Process(target=job)
    process.start()
    process.join(60)
    return process.exitcode


def test_signal_before_training_ends_the_job_as_interrupted(tmp_path, monkeypatch):
    sweep, run = SweepFolder(tmp_path), RunFolder(tmp_path / "0-a")
    run.path.mkdir()
    task = Task({}, run, "", {})

    def job() -> None:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        main(task)

    monkeypatch.setattr("gantrain.sweeps.worker.train_or_resume", lambda _: os.kill(os.getpid(), 15))
    assert (ended_job(job), run.outcome()["status"]) == (143, "interrupted")
    run.result_file.unlink()
    sweep.stop_file.write_text("2\n")  # forwarded before the job was there
    assert (ended_job(job), run.outcome()["status"]) == (130, "interrupted")


@pytest.mark.parametrize("end", ["stop", "gone", "before"])
def test_job_ends_when_its_sweep_is_stopped_or_gone(tmp_path, monkeypatch, end):
    sweep, run = SweepFolder(tmp_path), RunFolder(tmp_path / "0-a")
    run.path.mkdir()
    monkeypatch.setattr("gantrain.sweeps.worker.train_or_resume", lambda _: time.sleep(60))
    process = multiprocessing.get_context("fork").Process(target=main, args=(Task({}, run, "", {}),))
    handle = os.open(tmp_path / ".lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    if end == "before":  # the job starts when the sweep has gone
        os.close(handle)
        process.start()
    else:
        process.start()
        time.sleep(0.5)
        assert process.is_alive()
        if end == "stop":
            sweep.stop_file.write_text(f"{int(signal.SIGHUP)}\n")
        else:
            fcntl.flock(handle, fcntl.LOCK_UN)
    process.join(20)
    number = signal.SIGHUP if end == "stop" else signal.SIGTERM
    assert (process.exitcode, run.outcome()["status"]) == (128 + number, "interrupted")
    assert f"stopped by {number.name} before it trained" in run.outcome()["error"]
    if end != "before":
        os.close(handle)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_signal_saves_running_jobs_and_resume_completes_them(launcher, tmp_path):
    words = [
        *RING,
        "train.steps=400000",
        "device.compile=false",
        "train.log_every=20",
        "train.checkpoint_every=0",
        "seed=range(3)",
    ]
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
        time.sleep(0.5)  # sooner it is the same request
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


def relatives(tag: str) -> list[str]:
    """Return the command lines of all processes that a command with TAG in its environment started."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"TAG={tag}".encode() in (path / "environ").read_bytes():
                found.append((path / "cmdline").read_text().replace("\0", " ")[:100])
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("launcher", ["basic", "joblib", "submitit_local"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_sweep_stopped_while_its_jobs_start_leaves_no_process(tmp_path, launcher, number, code):
    words = [
        "-m",
        *SHORT,
        "train.steps=10000000",
        "device.compile=false",
        "seed=range(3)",
        f"hydra/launcher={launcher}",
        "run.dir=s",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "gantrain", *words], cwd=tmp_path, env={**os.environ, "TAG": str(tmp_path)},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    until = time.monotonic() + 120
    while not list(tmp_path.glob("s/0-*/.hydra")) and time.monotonic() < until:
        time.sleep(0.05)
    os.killpg(process.pid, number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    until = time.monotonic() + 30
    while (left := relatives(str(tmp_path))) and time.monotonic() < until:
        time.sleep(0.2)
    assert not left
    if number == signal.SIGINT:
        assert "Traceback" not in err
        assert "go on with: gantrain resume" in lines(err)[-1]
