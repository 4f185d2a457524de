"""A job in the processes that submitit starts: queued again when its cluster stops it, and as several ranks."""

import multiprocessing
import os
import signal

import pytest

from gantrain.core.run_folder import RunFolder
from gantrain.sweeps.submitted import preemption, run_submission
from gantrain.sweeps.task import Task

QUEUED, RAN = 77, 0

# What Slurm 22.05 says of a job to which it has sent SIGTERM: for another job at once, in a grace time, by scancel.
AT_ONCE = "JobId=4 JobState=COMPLETING Reason=None Restarts=1 BatchFlag=1"
IN_GRACE = "JobId=4 JobState=RUNNING Restarts=0 PreemptEligibleTime=2026-11-28T09:41:37 PreemptTime=2026-11-28T09:41:41"
CANCELLED = "JobId=4 JobState=COMPLETING Restarts=0 PreemptEligibleTime=2026-11-28T09:42:22 PreemptTime=None"


@pytest.fixture
def scontrol(tmp_path, monkeypatch):
    """Return ``answer(text)``, which makes Slurm say so of job 4, which is this process."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "4")

    def answer(text: str) -> None:
        path = tmp_path / "bin" / "scontrol"
        path.write_text(f'#!/bin/sh\n[ "$*" = "show job --oneliner 4" ] && echo "{text}"\n')
        path.chmod(0o755)

    return answer


def exit_code_of(run: RunFolder, number: int, is_remote: bool) -> int | None:
    """Return how a job ends that a signal stops, in a process with a handler as submitit's, which queues it again."""

    def job() -> None:
        os.environ |= {"SUBMITIT_EXECUTOR": "local", "SUBMITIT_LOCAL_JOB_ID": "4"}
        signal.signal(signal.SIGUSR2, lambda *_: os._exit(QUEUED))
        run_submission(Task({}, run, "", {}, is_remote=is_remote))

    process = multiprocessing.get_context("fork").Process(target=job)
    process.start()
    process.join(30)
    return process.exitcode


@pytest.mark.parametrize(
    ("number", "answer", "count", "code"),
    [
        (signal.SIGUSR2, "", 0, QUEUED),  # its time is nearly up
        (signal.SIGTERM, AT_ONCE, 0, 128 + signal.SIGTERM),  # without a result, since Slurm queues it again
        (signal.SIGTERM, AT_ONCE, 1, RAN),
        (signal.SIGTERM, IN_GRACE, 0, QUEUED),
        (signal.SIGTERM, CANCELLED, 0, RAN),
        (signal.SIGTERM, "", 0, RAN),
        (signal.SIGINT, IN_GRACE, 0, RAN),
    ],
)
def test_stopped_job_is_queued_again_unless_cancelled(
    tmp_path, monkeypatch, scontrol, number, answer, count, code
):
    scontrol(answer)
    monkeypatch.setenv("SLURM_RESTART_COUNT", str(count))
    monkeypatch.setattr("gantrain.sweeps.worker.train_or_resume", lambda _: os.kill(os.getpid(), number))
    run = RunFolder(tmp_path / "0-a")
    run.path.mkdir()
    assert (exit_code_of(run, number, is_remote=True), run.outcome()["status"]) == (code, "interrupted")


def test_job_that_its_sweep_stops_is_not_queued_again(tmp_path, monkeypatch, scontrol):
    scontrol(IN_GRACE)
    monkeypatch.setattr(
        "gantrain.sweeps.worker.train_or_resume", lambda _: os.kill(os.getpid(), signal.SIGTERM)
    )
    run = RunFolder(tmp_path / "0-a")
    run.path.mkdir()
    (tmp_path / ".stop").write_text("15\n")
    assert exit_code_of(run, signal.SIGTERM, is_remote=True) == RAN


def test_preemption_is_none_without_slurm(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert preemption() == ""
    monkeypatch.setenv("SLURM_JOB_ID", "4")
    monkeypatch.setenv("PATH", "/nowhere")
    assert preemption() == ""
