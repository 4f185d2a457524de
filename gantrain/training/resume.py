"""Go on with a run in its folder: from a checkpoint, or from the config of a run that has none yet."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gantrain.config.grammar import read_value
from gantrain.config.key_types import type_of_key
from gantrain.config.resolve import resolve
from gantrain.config.resume import BUDGETS, RESUMABLE_KEYS
from gantrain.core.override import values_by_key
from gantrain.core.plugin_loading import load_plugins_of
from gantrain.core.run_folder import RunFolder
from gantrain.core.suggestions import suggest
from gantrain.distributed.join import current_group
from gantrain.errors import CheckpointError, ConfigError
from gantrain.reports.end_table import end_table
from gantrain.reports.repeat import repeat_words
from gantrain.training.checkpoint import Checkpoint, find_checkpoint, load_checkpoint
from gantrain.training.restore import config_and_spec
from gantrain.training.run import run
from gantrain.training.session import Session
from gantrain.training.stop_signal import StopSignal
from gantrain.training.together import prepare_together


def resume_run(where: Path, words: Mapping[str, str]) -> None:
    """Train on from a checkpoint, or from the config of a run that has none yet.

    Raises:
        CheckpointError: For what is neither.
        ConfigError: For a word that would make it another run.
        OutputError: When another process writes in the run's folder.
    """
    run_folder = RunFolder.of(where)
    if not run_folder.can_begin_anew:
        find_checkpoint(where)  # in a folder that is no run, no lock is made
    # Locked before anything is read: another process may be writing there, and remove checkpoints.
    with run_folder.lock(), StopSignal(run_folder.path).listening():
        if run_folder.can_begin_anew and Path(os.path.realpath(where)) == run_folder.path:
            _begin_anew(run_folder, words)
        else:
            _continue_run(load_checkpoint(where), words)


def _begin_anew(run_folder: RunFolder, words: Mapping[str, str]) -> None:
    """Train a run from its config, in its folder, which it must hold the lock of.

    Raises:
        CheckpointError: For a config that cannot be run.
        ConfigError: For a word that would make it another run.
    """
    group = current_group()
    load_plugins_of(run_folder.plugins, run_folder.path)
    try:
        config = resolve(_with_words(run_folder.config, words))
    except (ConfigError, KeyError, TypeError) as error:
        if isinstance(error, ConfigError) and error.where in words:
            raise
        what = f"does not hold a run ({' '.join(str(error).split())})"
        raise CheckpointError(run_folder.config_file, what, "restore it, or train again") from error
    data = prepare_together(config, group, plugins=run_folder.plugins)
    group.begin_in(run_folder.path)
    print(f"{run_folder.path}: has no checkpoint yet, so it begins anew from its own config", flush=True)
    command = shlex.join(["gantrain", *repeat_words(run_folder)])
    session = Session(command, values_by_key(run_folder.overrides))
    result = run(config, run_folder.path, session=session, data=data, group=group)
    print(end_table(result, run_folder.path))


def _continue_run(checkpoint: Checkpoint, words: Mapping[str, str]) -> None:
    """Train on from a checkpoint, unless its run has finished; the run must be locked. Raises ConfigError."""
    group = current_group()
    config_and_spec(checkpoint)
    config = resolve(_with_words(checkpoint.config, words))
    # A run that was stopped between its last step and its result still has its metrics to compute.
    is_finished = RunFolder(checkpoint.run).outcome()["status"] == "finished"
    if is_finished and config.train.is_over(checkpoint.step, checkpoint.seconds):
        budget = config.train.budget
        more = f"train.{budget}={2 * getattr(config.train, budget)}"
        if config.train.time is None:  # a schedule has reached its end at the old horizon
            more += f" optimizer.horizon={2 * checkpoint.step}"
        command = f"gantrain resume {shlex.quote(str(checkpoint.run))} {more}"
        print(f"{checkpoint.run}: already finished at step {checkpoint.step}; go on with: {command}")
        return
    data = prepare_together(config, group, checkpoint, checkpoint.plugins)
    group.begin_in(checkpoint.run)
    result = run(config, checkpoint.run, checkpoint, data=data, group=group)
    print(end_table(result, checkpoint.run))


def _with_words(plain: dict[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    """Return the config of a run with the keys changed that a continuation may change.

    Raises:
        ConfigError: For a word that would make it another run.
    """
    if not words.keys().isdisjoint(f"train.{key}" for key in ("steps", *BUDGETS)):
        plain["train"] |= dict.fromkeys(BUDGETS)  # a new budget takes the place of the old one
    device = plain["device"]
    device["shards"] = device.get("shards") or device.get("processes", 1)  # which other processes share
    for key, text in words.items():
        group, _, name = key.partition(".")
        is_known = name in plain[group] if isinstance(plain.get(group), dict) else group in plain
        if not is_known:
            raise ConfigError(key, "there is no such key in this run", suggest(key, RESUMABLE_KEYS))
        if key not in RESUMABLE_KEYS:
            remedy = f"only these may change: {', '.join(RESUMABLE_KEYS)}"
            raise ConfigError(key, "would make it another run", remedy)
        plain[group][name] = read_value(key, text, type_of_key(key))
    size = current_group().size
    if "device.processes" in words and device["processes"] != size:
        what = f"is {device['processes']}, and the run was started in {size}"
        raise ConfigError("device.processes", what, "leave it out")
    device["processes"] = size
    return plain
