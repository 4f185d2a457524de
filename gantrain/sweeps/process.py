"""Start a job's process with its share of the machine, and wait for its result.

One process per job, so that a crash, an out-of-memory kill or a leak of one job does not affect the others.
"""

import multiprocessing
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import torch

from gantrain.core.run_folder import RunFolder
from gantrain.core.streams import tolerant_streams
from gantrain.core.sweep_folder import Job, SweepFolder
from gantrain.core.system import short_socket_folder, usable_cores
from gantrain.errors import ConfigError
from gantrain.sweeps import worker
from gantrain.sweeps.launch import print_job, print_progress
from gantrain.sweeps.launchers import launcher_of
from gantrain.sweeps.outcomes import record_exit, record_outcome, wait_until_free
from gantrain.sweeps.stop import POLL_SECONDS, block_signals, signals_to_obey
from gantrain.sweeps.submitted import run_submission
from gantrain.sweeps.task import Other, Task

# What a run imports lazily.
PRELOAD = [
    "gantrain.sweeps.fork_server",
    "gantrain.sweeps.process",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "tensorboard.plugins.text.metadata",
    "tensorboard.util.tensor_util",
    "tensorboard.summary.writer.record_writer",
    "tensorboard.backend.event_processing.event_file_loader",
]


def run_job(
    plain: Mapping[str, Any], folder: Path, given: Mapping[str, str], launcher: str, cwd: str = "."
) -> dict[str, Any]:
    """Run one job for a launcher, print how it ended, and return its result.

    Args:
        plain: The composed config as plain data.
        folder: The run's folder, inside the sweep's.
        given: The values typed by the user, by key.
        launcher: The class of the launcher.
        cwd: The working folder of the sweep, where paths begin that the config holds.

    Raises:
        ConfigError: When the sweep has no plan here.
    """
    run, sweep, job = RunFolder(folder), SweepFolder(folder.parent), Job(folder.name)
    plan, kind = sweep.plan(), launcher_of(launcher)
    if plan is None and kind.is_remote:
        what = f"{sweep.path} of the sweep is not on {platform.node()}"
        raise ConfigError("run.dir", what, "name a folder that all machines of the cluster share")
    if plan is None:
        raise ConfigError("hydra/sweeper", "started a job that it did not plan", "choose from grid, optuna")
    is_alone = plan.at_once == 1
    task = Task(plain, run, plan.command, given, kind.has_terminal and is_alone, plan=plan)
    task = replace(task, is_remote=kind.is_remote)
    if not (is_alone or kind.is_remote):
        # More threads than cores slow all jobs down.
        task = replace(task, cores=max(1, usable_cores() // plan.at_once))
    others = plan.played_with(job)
    task = replace(task, others=tuple(Other.of(sweep.run(other), other.overrides) for other in others))
    if os.getpid() != plan.pid and not (kind.is_submitted or kind.is_remote):
        block_signals()
        _end_with(sweep)
    if signals_to_obey(sweep, task.is_remote):  # before this job's turn
        return run.outcome()
    if kind.is_submitted:
        run_submission(task)
        return run.outcome()
    if kind.is_remote:
        return _run_on_ray(task, cwd)
    if not is_alone:
        task = replace(task, gpu=assign_gpu(int(job.number), given))
    result = run_in_process(task)
    with tolerant_streams():  # in a worker of joblib, which has streams of its own
        if is_alone and not plan.groups:
            print_job(sweep, job, result)
        else:
            for one in (job, *others):
                print_progress(sweep, one, plan, sweep.run(one).outcome())
    return result


def _run_on_ray(task: Task, cwd: str) -> dict[str, Any]:
    """Run a task from a worker of Ray, with the cores and GPUs that Ray assigned to it, and return its result."""
    from gantrain.sweeps.ray_cluster import assigned_cores

    if Path(cwd).is_dir():  # not where machines share no more than run.dir; paths of data are then absolute
        os.chdir(cwd)
    wait_until_free(task.run)  # Ray tries again what it lost with a worker or a machine
    task = replace(task, cores=assigned_cores(), gpu=os.environ.get("CUDA_VISIBLE_DEVICES"))
    before = block_signals()  # Ctrl-C in the terminal reaches a Ray on the same machine too
    try:
        return run_in_process(task)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with(sweep: SweepFolder) -> None:
    """End this process, a worker of a launcher, once its sweep is gone; it would wait minutes for another job."""

    def wait() -> None:
        while not sweep.is_abandoned:
            time.sleep(POLL_SECONDS)
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def assign_gpu(number: int, given: Mapping[str, str]) -> str | None:
    """Return ``CUDA_VISIBLE_DEVICES`` of a job: GPU ``number`` modulo their count; None to leave it unset."""
    count = torch.cuda.device_count()  # creates no CUDA context, which would occupy memory on each of them
    if count < 2 or "device.index" in given:
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(i) for i in range(count)]
    return names[number % count]


def run_in_process(task: Task) -> dict[str, Any]:
    """Run a task in a new process, and return its ``result.json``, or a result for a process that left none.

    The results of the runs that it plays at once with this one are written too.
    """
    for run in task.runs:
        run.result_file.unlink(missing_ok=True)
    process: Any = None
    try:
        process = _context().Process(target=worker.main, args=(task,))
        process.start()
        while process.exitcode is None:
            process.join(POLL_SECONDS)
    except KeyboardInterrupt:  # the second signal: the job is not waited for
        if process and process.pid:
            process.kill()
        raise
    except EOFError:
        return _record_failed_start(task, ": the process that starts them died, with the messages above")
    except OSError as error:
        return _record_failed_start(task, f" ({error})")
    wait_until_free(task.run)  # should the process that started it have died first
    signals = SweepFolder(task.run.path.parent).signals()
    for run in task.runs:
        if run.outcome()["status"] == "missing":
            record_exit(run, process.exitcode, signals[0] if signals else 0)
    return task.run.outcome()


def _record_failed_start(task: Task, cause: str) -> dict[str, Any]:
    """Write why the process of a task was not started, and return the result of its own run."""
    what = f"its process was not started{cause}"
    own, *_ = [record_outcome(run, "failed", what, 1) for run in task.runs]
    return own


def _context() -> Any:
    """Return how multiprocessing starts a job."""
    # A fork of this process would inherit torch's threads and a CUDA context, which do not survive it. A spawned
    # process imports torch anew, which takes seconds. A fork server imports it once and is forked for each job.
    method = "forkserver" if sys.platform == "linux" else "spawn"
    if multiprocessing.get_start_method(allow_none=True) not in multiprocessing.get_all_start_methods():
        # In a worker of joblib the default is a method of joblib's own, unknown to the process that is started.
        multiprocessing.set_start_method(method, force=True)
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload([*PRELOAD, *(["optuna"] if "optuna" in sys.modules else [])])
        mask = block_signals()  # from the server, and from a job until it is one
        try:
            with short_socket_folder():
                forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return context
