"""A job in the processes that submitit starts for it, one a rank; a job that its cluster stops goes on later."""

import os
import re
import signal
import subprocess
import sys

from gantrain.core.signals import unblock_signals
from gantrain.core.sweep_folder import SweepFolder
from gantrain.sweeps import worker
from gantrain.sweeps.ranks import play_as_rank
from gantrain.sweeps.task import Task

SECONDS = 60  # for an answer of Slurm


def run_submission(task: Task) -> None:
    """Run a task in this process; what its cluster stopped, for time or for another's job, is queued again."""
    requeue = signal.getsignal(signal.SIGUSR2)  # submitit's handler
    if not task.is_remote:
        os.setsid()  # out of reach of Ctrl-C, of which the sweep tells its jobs
    unblock_signals()
    worker.limit_resources(task)
    code = play_as_rank(task, is_watching=True) if join_ranks() > 1 else worker.run_task(task)
    is_stopped = bool(SweepFolder(task.run.path.parent).signals())
    if not callable(requeue) or is_stopped or code not in (128 + signal.SIGUSR2, 128 + signal.SIGTERM):
        return
    if code == 128 + signal.SIGTERM:
        state = preemption()
        if state == "queued":
            sys.exit(code)  # without a result, so that the sweep waits for the next attempt
        if state != "running":
            return
    requeue(signal.SIGUSR2, None)


def join_ranks() -> int:
    """Return how many ranks submitit started for this job; of several, this process then has torch's variables."""
    from submitit import JobEnvironment
    from submitit.helpers import TorchDistributedEnvironment

    count = int(JobEnvironment().num_tasks)
    if count > 1:
        # GPUs are chosen by LOCAL_RANK; a job that is queued again has the variables of its first attempt.
        TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
    return count


def preemption() -> str:
    """Return what Slurm does with this job, which it stops for one of higher priority.

    ``queued``: it has queued it again. ``running``: it has not, and will not if the job ends by itself, as in a grace
    time. An empty string: it is no preemption, or there is no Slurm.
    """
    number = os.environ.get("SLURM_JOB_ID")
    if not number:
        return ""
    command = ["scontrol", "show", "job", "--oneliner", number]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    fields = dict(re.findall(r"(\w+)=(\S*)", done.stdout))
    if int(fields.get("Restarts", 0)) > int(os.environ.get("SLURM_RESTART_COUNT", 0)):
        return "queued"
    return "running" if fields.get("PreemptTime", "None") != "None" else ""
