"""The job's side of its process: its share of the machine, its training, and its result if it fails."""

import os
import sys

import torch

from gantrain.core.atomic import append_to
from gantrain.core.run_folder import TERMINAL
from gantrain.core.signals import handle_signals, listen, unblock_signals
from gantrain.core.streams import tolerant_streams
from gantrain.core.sweep_folder import SweepFolder
from gantrain.errors import to_user_error
from gantrain.sweeps.ranks import launch_ranks
from gantrain.sweeps.stop import stop_before_training, watch_sweep
from gantrain.sweeps.task import Task, record_missing, train_or_resume


def main(task: Task) -> None:
    """Run a task as the whole of a new process, and exit with its code."""
    unblock_signals()
    listen()
    if hasattr(os, "setsid"):
        os.setsid()  # Ctrl-C in the terminal then reaches only the sweep, which forwards it once
    limit_resources(task)
    if not task.has_terminal:
        with append_to(task.run.path / TERMINAL) as file:
            for stream in (1, 2):
                os.dup2(file.fileno(), stream)
    with tolerant_streams():
        code = run_task(task)
    sys.exit(code)


def limit_resources(task: Task) -> None:
    """Restrict this process to the task's GPU and cores, before torch has started anything on them."""
    if task.gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = task.gpu
    if task.cores:
        os.environ["LOKY_MAX_CPU_COUNT"] = str(task.cores)  # which usable_cores() obeys
        torch.set_num_threads(min(task.cores, torch.get_num_threads()))


def run_task(task: Task) -> int:
    """Train a task in this process, write the error into ``result.json`` if it fails, and return its exit code."""
    sweep = SweepFolder(task.run.path.parent)
    try:
        with handle_signals(lambda number: stop_before_training(sweep, number), is_patient=False):
            watch_sweep(sweep, task.is_remote)
            if task.ranks > 1:
                return launch_ranks(task)
            train_or_resume(task)
    except BaseException as error:  # SystemExit and KeyboardInterrupt too: every job leaves a result
        record_missing(task, error)
        return to_user_error(error).exit_code
    return 0
