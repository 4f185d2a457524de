"""One job of a sweep as a launcher starts it: whether it is still wanted, its share of the machine, its process."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gantrain.signals import SIGNALS
from gantrain.sweeps.attempt import Task, attempt, share
from gantrain.sweeps.launch import told
from gantrain.sweeps.plan import STOP, cores, noted_signals, read_plan, result_of
from gantrain.sweeps.process import orphaned, play


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
