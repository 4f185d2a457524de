"""One job of a sweep, in a process of its own: what kills it, or fills its memory, reaches no other."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from gantrain.checkpoint import load_checkpoint, steps
from gantrain.config import resolve
from gantrain.errors import ConfigError, as_fault
from gantrain.housekeeping import Session
from gantrain.registry import REGISTERED
from gantrain.run import run
from gantrain.signals import SIGNALS
from gantrain.sweeps.launch import told
from gantrain.sweeps.plan import MAY_CHANGE, STOP, cores, noted_signals, read_plan, result_of
from gantrain.sweeps.trial import watcher
from gantrain.tracker import write_json

# Whatever a run imports on its way, so that a sweep pays for it once: half of them are what Adam and pictures load.
PRELOADED = [
    "gantrain.sweeps.job",
    "torch._dynamo",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "tensorboard.plugins.text.metadata",
    "tensorboard.util.tensor_util",
    "tensorboard.summary.writer.record_writer",
    "tensorboard.backend.event_processing.event_file_loader",
]


def others() -> tuple[type, ...]:
    """Return the plug-ins that are not gantrain's own: a new process imports, and so registers, what it is handed."""
    known = (cls for group in REGISTERED.values() for cls in group.values())
    return tuple(cls for cls in known if not cls.__module__.startswith("gantrain."))


@dataclass(frozen=True)
class Task:
    """What a process needs to play one job.

    Attributes:
        plain: The composed config as plain data.
        folder: The run's folder.
        command: What the user typed.
        given: The keys set by hand.
        at_once: How many jobs share the machine: the cores are split among them, and none draws on the terminal.
        threads: CPU threads at most; 0 leaves torch's own choice.
        gpu: What ``CUDA_VISIBLE_DEVICES`` is to be, or None to leave it.
        others: The user's own plug-ins.
    """

    plain: Mapping[str, Any]
    folder: Path
    command: str
    given: Mapping[str, str]
    at_once: int = 1
    threads: int = 0
    gpu: str | None = None
    others: tuple[type, ...] = field(default_factory=others)


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


def share(task: Task) -> None:
    """Take a job's part of the machine, before torch has started anything on it."""
    if task.gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = task.gpu
    if task.threads:
        torch.set_num_threads(min(task.threads, torch.get_num_threads()))


def _follow(stop: Path) -> None:
    """Pass a signal that the sweep noted on to this process, which is not one of its own."""
    while not noted_signals(stop):
        time.sleep(1)
    os.kill(os.getpid(), noted_signals(stop)[0])


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def attempt(task: Task) -> int:
    """Play a job in this process, from its last checkpoint if it has one, and return its exit code."""
    try:
        go_on(task)
    except BaseException as error:
        fault = as_fault(error)
        if os.environ.get("GANTRAIN_DEBUG") == "1":
            traceback.print_exception(error)
        if result_of(task.folder)["status"] == "missing":
            status = {"status": "failed", "error": str(fault), "exit_code": fault.exit_code}
            with contextlib.suppress(OSError):
                write_json(task.folder / "result.json", status)
        return fault.exit_code
    return 0


def go_on(task: Task) -> None:
    """Train a job's config in its folder, from the newest checkpoint where an earlier attempt left one.

    Raises:
        GantrainError: Any fault of the user's.
    """
    config = resolve(task.plain)
    watch = watcher(task.folder, config.train)
    session = Session(task.command, task.given, bar=task.at_once == 1, watch=watch)
    if not steps(task.folder):
        run(config, task.folder, session=session)
        return
    checkpoint = load_checkpoint(task.folder)
    if task.plain["seed"] is None:
        config.seed = checkpoint.config["seed"]
    differ = different(checkpoint.config, config.plain())
    if differ:
        what = f"its checkpoint was made with another {', '.join(differ)}"
        raise ConfigError(task.folder, what, "remove the folder to run the job anew")
    run(config, task.folder, checkpoint, session)


def different(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the keys that make two configs different runs: not where they write, and not what may change."""
    keys = []
    for group, value in now.items():
        old = before.get(group)
        if group in ("run", "name"):
            continue
        if not isinstance(value, Mapping) or not isinstance(old, Mapping):
            keys += [group] if old != value else []
        else:
            keys += [f"{group}.{key}" for key in value if old.get(key) != value[key]]
    return [key for key in keys if key not in MAY_CHANGE]
