"""Start a job's process with its share of the machine, forward the sweep's signals to it, and wait for its result.

One process per job, so that a crash, an out-of-memory kill or a leak of one job does not affect the others.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gantrain.core.files import write_json
from gantrain.core.run_folder import RunFolder
from gantrain.core.signals import SIGNALS
from gantrain.core.streams import tolerant_streams
from gantrain.core.sweep_folder import Job, SweepFolder
from gantrain.core.system import usable_cores
from gantrain.sweeps import worker
from gantrain.sweeps.launch import print_job
from gantrain.sweeps.stop import is_orphan, read_signals, watch_signals
from gantrain.sweeps.worker import Task

POLL_SECONDS = 0.2
# All that a run imports lazily; importing dynamo and the drawing libraries takes half of a new process's start.
PRELOAD = [
    "gantrain.sweeps.process",
    "torch._dynamo",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "tensorboard.plugins.text.metadata",
    "tensorboard.util.tensor_util",
    "tensorboard.summary.writer.record_writer",
    "tensorboard.backend.event_processing.event_file_loader",
]


def run_job(
    plain: Mapping[str, Any], folder: Path, given: Mapping[str, str], is_submitted: bool
) -> dict[str, Any]:
    """Run one job for a launcher, print how it ended, and return its result.

    Args:
        plain: The composed config as plain data.
        folder: The run's folder, inside the sweep's.
        given: The values typed by the user, by key.
        is_submitted: Whether a cluster started this process for this job alone.
    """
    run, sweep, job = RunFolder(folder), SweepFolder(folder.parent), Job(folder.name)
    plan = sweep.plan()
    if plan is None or read_signals(sweep):  # the sweep was stopped before this job's turn
        return run.outcome()
    task = Task(plain, run, plan.command, given, plan.at_once)
    if plan.at_once > 1:
        # More threads than cores slow all jobs down.
        task = replace(task, threads=max(1, usable_cores() // plan.at_once))
    if is_submitted:  # train in this process
        worker.limit_resources(task)
        watch_signals(sweep)
        worker.run_task(task)
        return run.outcome()
    if os.getpid() != plan.pid:
        # Ctrl-C in a terminal reaches the launcher's workers too; only the sweep's process may forward it.
        for name in SIGNALS:
            signal.signal(name, signal.SIG_IGN)
    if plan.at_once > 1:
        task = replace(task, gpu=assign_gpu(int(job.number), given))
    result = run.outcome() if is_orphan(plan.pid) else run_in_process(task, sweep, plan.pid)
    if is_orphan(plan.pid):
        # A worker of joblib would otherwise wait minutes for the next job of a sweep that is gone.
        os._exit(0)
    with tolerant_streams():  # in a worker of joblib, which has streams of its own
        print_job(sweep, job, plan, result)
    return result


def assign_gpu(number: int, given: Mapping[str, str]) -> str | None:
    """Return ``CUDA_VISIBLE_DEVICES`` of a job: GPU ``number`` modulo their count; None to leave it unset."""
    count = torch.cuda.device_count()  # creates no CUDA context, which would occupy memory on each of them
    if count < 2 or "device.index" in given:
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(i) for i in range(count)]
    return names[number % count]


def run_in_process(task: Task, sweep: SweepFolder, pid: int) -> dict[str, Any]:
    """Run a task in a new process, and return its ``result.json``, or a result for a process that died without one.

    The process receives the signals that its sweep forwards, and SIGTERM once the sweep's process ``pid`` is gone.
    """
    task.run.result_file.unlink(missing_ok=True)
    process = _context().Process(target=worker.main, args=(task,))
    process.start()
    forwarded = 0
    try:
        while process.exitcode is None:
            process.join(POLL_SECONDS)
            signals = [signal.SIGTERM] if is_orphan(pid) else read_signals(sweep)
            for number in signals[forwarded:]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid or 0, number)
            forwarded = max(forwarded, len(signals))
    except KeyboardInterrupt:  # the second signal: the job is not waited for
        process.kill()
        raise
    result = task.run.outcome()
    if result["status"] == "missing":
        result = _result_of_exit(process.exitcode)
        with contextlib.suppress(OSError):  # on a full disk the printed table has it all the same
            write_json(task.run.result_file, result)
    return result


def _result_of_exit(exitcode: int) -> dict[str, Any]:
    if exitcode < 0:
        error = f"killed by {signal.Signals(-exitcode).name}"
        return {"status": "killed", "error": error, "exit_code": 128 - exitcode}
    return {"status": "failed", "error": f"its process ended with {exitcode}", "exit_code": exitcode or 1}


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
    return context
