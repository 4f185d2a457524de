"""One job of a sweep, in a process of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gantrain.core.files import write_json
from gantrain.core.system import SIGNALS, cores
from gantrain.sweeps.launch import told
from gantrain.sweeps.plan import read_plan, result_of
from gantrain.sweeps.stop import STOP, noted_signals
from gantrain.sweeps.worker import Task, attempt, share


def in_sweep(
    plain: Mapping[str, Any], folder: Path, given: Mapping[str, str], submitted: bool
) -> dict[str, Any]:
    """Run one job of the sweep whose folder is above ``folder``, say what became of it, and return its result.

    Args:
        plain: The composed config as plain data.
        folder: The run's folder.
        given: The keys set by hand.
        submitted: Whether a cluster gave this job a process of its own, so that none is made here.
    """
    plan, stop = read_plan(folder.parent), folder.parent / STOP
    if plan is None or noted_signals(stop):  # the sweep was stopped before this job's turn
        return result_of(folder)
    task = Task(plain, folder, plan.command, given, plan.at_once)
    if plan.at_once > 1:
        task = replace(task, threads=max(1, cores() // plan.at_once))
    if submitted:
        share(task)
        threading.Thread(target=_follow, args=(stop,), daemon=True).start()
        attempt(task)
        return result_of(folder)
    if os.getpid() != plan.pid:
        # A launcher's worker gets the terminal's signals too; the sweep's own process notes them for all.
        for name in SIGNALS:
            signal.signal(name, signal.SIG_IGN)
    if plan.at_once > 1:
        task = replace(task, gpu=gpu_for(int(folder.name.partition("-")[0]), given))
    # A sweep that was killed before this job's turn starts no process for it.
    result = result_of(folder) if orphaned(plan.pid) else play(task, stop, plan.pid)
    if orphaned(plan.pid):
        os._exit(0)  # a launcher's worker would wait for minutes for jobs that nobody has
    told(folder, plan, result)
    return result


def gpu_for(number: int, given: Mapping[str, str]) -> str | None:
    """Return the GPU of a job that runs beside others: they are dealt out in turn.

    Returns:
        A value for ``CUDA_VISIBLE_DEVICES``; None where there is nothing to deal out, or ``device.index`` says it.
    """
    count = torch.cuda.device_count()  # makes no context on any of them
    if count < 2 or "device.index" in given:
        return None
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = seen.split(",") if seen else [str(i) for i in range(count)]
    return names[number % count]


def _follow(stop: Path) -> None:
    """Pass a signal that the sweep noted on to this process, which is not one of its own."""
    while not noted_signals(stop):
        time.sleep(1)
    os.kill(os.getpid(), noted_signals(stop)[0])


# Whatever a run imports on its way, so that a sweep pays for it once: half of them are what Adam and pictures load.
PRELOADED = [
    "gantrain.sweeps.process",
    "torch._dynamo",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "tensorboard.plugins.text.metadata",
    "tensorboard.util.tensor_util",
    "tensorboard.summary.writer.record_writer",
    "tensorboard.backend.event_processing.event_file_loader",
]


def play(task: Task, stop: Path, pid: int) -> dict[str, Any]:
    """Run a job in a new process, wait for it, and return what its ``result.json`` holds.

    Args:
        task: The job.
        stop: Where the sweep notes signals; each is passed on, and the job saves and ends.
        pid: The process that sweeps; when it is gone, the job saves and ends too.

    Returns:
        The result, which a process that died leaves to be written here: ``killed`` with 128 + the signal's number.
    """
    (task.folder / "result.json").unlink(missing_ok=True)
    process = _context().Process(target=_play, args=(task,))
    process.start()
    passed_on = 0
    try:
        while process.exitcode is None:
            process.join(0.2)
            asked = [signal.SIGTERM] if orphaned(pid) else noted_signals(stop)
            for number in asked[passed_on:]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid or 0, number)
            passed_on = max(passed_on, len(asked))
    except KeyboardInterrupt:  # the sweep leaves at once, and would wait for the job before it is gone
        process.kill()
        raise
    result = result_of(task.folder)
    if result["status"] == "missing":
        result = _died(process.exitcode)
        with contextlib.suppress(OSError):  # a full disk: the table says it all the same
            write_json(task.folder / "result.json", result)
    return result


def orphaned(pid: int) -> bool:
    """Whether the sweep of this process id is gone, be this its own process or a worker of its launcher."""
    return pid not in (os.getpid(), os.getppid())


def _died(exitcode: int) -> dict[str, Any]:
    if exitcode < 0:
        number = -exitcode
        error = f"killed by {signal.Signals(number).name}"
        return {"status": "killed", "error": error, "exit_code": 128 + number}
    return {"status": "failed", "error": f"its process ended with {exitcode}", "exit_code": exitcode or 1}


def _context() -> Any:
    """Return how processes are made: on Linux as forks of one that has imported everything and started nothing."""
    method = "forkserver" if sys.platform == "linux" else "spawn"
    if multiprocessing.get_start_method(allow_none=True) not in multiprocessing.get_all_start_methods():
        # A worker of joblib has a default of joblib's own, of which a new process would know nothing.
        multiprocessing.set_start_method(method, force=True)
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        searched = ["optuna"] if "optuna" in sys.modules else []
        context.set_forkserver_preload([*PRELOADED, *searched])
    return context


def _play(task: Task) -> None:
    if hasattr(os, "setsid"):
        os.setsid()  # Ctrl-C then reaches the sweep alone, which passes it on
    threading.Thread(target=_end_with_parent, daemon=True).start()
    share(task)
    if task.at_once > 1:  # what would be on the terminal, where several jobs cannot be read
        with (task.folder / "terminal.log").open("ab", buffering=0) as file:
            for stream in (1, 2):
                os.dup2(file.fileno(), stream)
    sys.exit(attempt(task))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
