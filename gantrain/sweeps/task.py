"""A job of a sweep: what its process is given, its training, and its result if it fails before."""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gantrain.config.resolve import resolve
from gantrain.config.resume import conflicting_keys
from gantrain.core.override import values_by_key
from gantrain.core.plugin_loading import load
from gantrain.core.plugins import PluginFolder, active_folders, use
from gantrain.core.run_folder import RunFolder
from gantrain.core.sweep_folder import Plan
from gantrain.distributed.join import current_group
from gantrain.errors import ConfigError
from gantrain.sweeps.optuna.pruning import pruning_callback
from gantrain.sweeps.outcomes import record_error
from gantrain.sweeps.replicas import with_numbers
from gantrain.training.checkpoint import load_checkpoint
from gantrain.training.replicas.replica import Member
from gantrain.training.restore import config_and_spec
from gantrain.training.run import run
from gantrain.training.session import Session
from gantrain.training.together import prepare_together


@dataclass(frozen=True)
class Other:
    """A run that is played at once with another one.

    Attributes:
        run: The run's folder.
        given: The values typed by the user, by key.
    """

    run: RunFolder
    given: Mapping[str, str]

    @classmethod
    def of(cls, run: RunFolder, overrides: Sequence[str]) -> Other:
        """Return the run of a job with these overrides."""
        return cls(run, values_by_key(word for word in overrides if not word.startswith("hydra")))


@dataclass(frozen=True)
class Task:
    """The input of a job's process, which is pickled.

    Attributes:
        plain: The composed config as plain data.
        run: The run's folder.
        command: The command line of the sweep.
        given: The values typed by the user, by key.
        has_terminal: Whether it may draw on the terminal; what several jobs write there at once is unreadable.
        cores: How many CPU cores it may use; 0 for all of this process.
        gpu: Value for ``CUDA_VISIBLE_DEVICES``, or None to leave it.
        is_remote: Whether it may run on another machine than its sweep.
        plan: Of the sweep.
        plugins: The user's folders of plug-ins with their contents: every job of a sweep runs the same code.
        others: The runs that are played at once with this one.
    """

    plain: Mapping[str, Any]
    run: RunFolder
    command: str
    given: Mapping[str, str]
    has_terminal: bool = True
    cores: int = 0
    gpu: str | None = None
    is_remote: bool = False
    plan: Plan | None = None
    plugins: tuple[PluginFolder, ...] = field(default_factory=active_folders)
    others: tuple[Other, ...] = ()

    @property
    def ranks(self) -> int:
        """How many processes play it."""
        return int(self.plain.get("device", {}).get("processes", 1))

    @property
    def runs(self) -> list[RunFolder]:
        """The folders of all runs of this process."""
        return [self.run, *(other.run for other in self.others)]


def record_missing(task: Task, error: BaseException) -> None:
    """Write the result of each run of a task that failed before the training loop could write one."""
    if os.environ.get("GANTRAIN_DEBUG") == "1":
        traceback.print_exception(error)
    for one in task.runs:
        if one.outcome()["status"] == "missing":
            record_error(one, error)


def train_or_resume(task: Task) -> None:
    """Train a task's config in its folder, from the newest checkpoint of an earlier attempt. Raises GantrainError."""
    use(task.plugins)
    load()
    if task.others:
        from gantrain.training.replicas.train import train_together

        members = [member_of(task, task.plain, task.run, task.given)]
        for other in task.others:
            members.append(member_of(task, with_numbers(task.plain, other.given), other.run, other.given))
        train_together(members)
        return
    group = current_group()
    with task.run.lock():  # before anything is read: another process may be writing there
        member = member_of(task, task.plain, task.run, task.given)
        data = None
        if group.size > 1:
            data = prepare_together(member.config, group, member.resumed)
            group.begin_in(member.folder)
        run(member.config, member.folder, member.resumed, member.session, data, group)


def member_of(task: Task, plain: Mapping[str, Any], folder: RunFolder, given: Mapping[str, str]) -> Member:
    """Return a run of a task with the checkpoint that it goes on from, if it has one. Raises GantrainError."""
    checkpoint = load_checkpoint(folder.path) if folder.newest_checkpoint else None
    before = config_and_spec(checkpoint)[0] if checkpoint else None  # with the defaults of younger keys
    device = plain["device"]
    if before and before.device.processes != device["processes"]:  # others go on with the same shards
        before.device.shards = before.device.shards or before.device.processes
        plain = {**plain, "device": device | {"shards": device["shards"] or before.device.shards}}
    config = resolve(plain)
    watch = pruning_callback(folder.path, config.train)
    session = Session(task.command, given, bar=task.has_terminal, watch=watch, plan=task.plan)
    if checkpoint is None or before is None:
        return Member(config, folder.path, session)
    if plain["seed"] is None:  # resolve drew a new one
        config.seed = checkpoint.config["seed"]
    # The folder's name shows only what varies: a checkpoint of another config may be in it.
    conflicts = conflicting_keys(before.plain(), config.plain())
    if conflicts:
        what = f"its checkpoint was made with another {', '.join(conflicts)}"
        raise ConfigError(folder.path, what, "remove the folder to run the job from scratch")
    return Member(config, folder.path, session, checkpoint)
