"""One attempt at a job of a sweep, in this process: its share of the machine, its run, its fault if it has one."""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from gantrain.config.resolve import resolve
from gantrain.core.files import write_json
from gantrain.errors import ConfigError, as_fault
from gantrain.registry import REGISTERED
from gantrain.sweeps.optuna.pruning import watcher
from gantrain.sweeps.plan import MAY_CHANGE, result_of
from gantrain.training.checkpoint import load_checkpoint, steps
from gantrain.training.housekeeping import Session
from gantrain.training.run import run


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


def share(task: Task) -> None:
    """Take a job's part of the machine, before torch has started anything on it."""
    if task.gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = task.gpu
    if task.threads:
        torch.set_num_threads(min(task.threads, torch.get_num_threads()))


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
