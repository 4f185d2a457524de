"""``gantrain resume RUN``."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantrain.cli.arguments import single_folder, split_arguments
from gantrain.cli.command import Command, Word
from gantrain.config.resume import RESUMABLE_KEYS
from gantrain.core.suggestions import suggest
from gantrain.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from gantrain.core.run_folder import RunFolder
    from gantrain.core.sweep_folder import Plan
    from gantrain.training.checkpoint import Checkpoint

BUDGETS = ("train.steps", "train.images", "train.seconds")


def resume(argv: list[str]) -> int:
    """Go on from a checkpoint in the same folder, up to ``train.steps``; of a sweep, run what is missing or failed."""
    from gantrain.core.sweep_folder import SweepFolder
    from gantrain.sweeps.stored_words import split_config_dir

    argv, configs = split_config_dir(argv)
    if configs and not configs[1]:
        raise ConfigError("--config-dir", "names no folder", "write --config-dir DIR")
    folders, words = split_arguments("resume", argv)
    folder = single_folder("resume", folders)
    plan = SweepFolder(folder).plan()
    if configs and plan is None:
        raise ConfigError("--config-dir", "is of no use to a run, which has its config", "leave it out")
    from gantrain.datasets.files.torchvision import downloads  # with torch, once the words are right

    with downloads("dataset.root" in words):
        if plan is None:
            return resume_run(folder, words)
        return resume_sweep(folder, plan, [word for word in argv if word not in folders], configs)


def resume_run(where: Path, words: Mapping[str, str]) -> int:
    """Train on from a checkpoint, or from the config of a run that has none yet.

    Raises:
        CheckpointError: For what is neither.
        ConfigError: For a word that would make it another run.
        OutputError: When another process writes in the run's folder.
    """
    from gantrain.core.run_folder import RunFolder
    from gantrain.training.checkpoint import find_checkpoint, load_checkpoint
    from gantrain.training.stop_signal import StopSignal

    run_folder = RunFolder.of(where)
    if not run_folder.can_begin_anew:
        find_checkpoint(where)  # in a folder that is no run, no lock is made
    # Locked before anything is read: another process may be writing there, and remove checkpoints.
    with run_folder.lock(), StopSignal(run_folder.path).listening():
        if run_folder.can_begin_anew and Path(os.path.realpath(where)) == run_folder.path:
            return begin_anew(run_folder, words)
        return continue_run(load_checkpoint(where), words)


def begin_anew(run_folder: RunFolder, words: Mapping[str, str]) -> int:
    """Train a run from its config, in its folder, which it must hold the lock of.

    Raises:
        CheckpointError: For a config that cannot be run.
        ConfigError: For a word that would make it another run.
    """
    from gantrain.config.resolve import resolve
    from gantrain.core.override import values_by_key
    from gantrain.core.plugin_loading import load_plugins_of
    from gantrain.reports.end_table import end_table
    from gantrain.reports.repeat import repeat_words
    from gantrain.training.run import prepare, run
    from gantrain.training.session import Session

    load_plugins_of(run_folder.plugins, run_folder.path)
    try:
        config = resolve(_with_words(run_folder.config, words))
    except (ConfigError, KeyError, TypeError) as error:
        if isinstance(error, ConfigError) and error.where in words:
            raise
        what = f"does not hold a run ({' '.join(str(error).split())})"
        raise CheckpointError(run_folder.config_file, what, "restore it, or train again") from error
    data = prepare(config)
    print(f"{run_folder.path}: has no checkpoint yet, so it begins anew from its own config", flush=True)
    session = Session(
        shlex.join(["gantrain", *repeat_words(run_folder)]), values_by_key(run_folder.overrides)
    )
    print(end_table(run(config, run_folder.path, session=session, data=data), run_folder.path))
    return 0


def continue_run(checkpoint: Checkpoint, words: Mapping[str, str]) -> int:
    """Train on from a checkpoint, unless its run has finished; the run must be locked. Raises ConfigError."""
    from gantrain.config.resolve import resolve
    from gantrain.core.run_folder import RunFolder
    from gantrain.reports.end_table import end_table
    from gantrain.training.restore import config_and_spec
    from gantrain.training.run import prepare, run

    config_and_spec(checkpoint)
    config = resolve(_with_words(checkpoint.config, words))
    # A run that was stopped between its last step and its result still has its metrics to compute.
    is_finished = RunFolder(checkpoint.run).outcome()["status"] == "finished"
    if is_finished and config.train.is_over(checkpoint.step, checkpoint.seconds):
        budget = config.train.budget
        more = f"train.{budget}={2 * getattr(config.train, budget)}"
        if budget != "seconds":  # a schedule has reached its end at the old horizon
            more += f" optimizer.horizon={2 * checkpoint.step}"
        command = f"gantrain resume {shlex.quote(str(checkpoint.run))} {more}"
        print(f"{checkpoint.run}: already finished at step {checkpoint.step}; go on with: {command}")
        return 0
    result = run(config, checkpoint.run, checkpoint, data=prepare(config, checkpoint))
    print(end_table(result, checkpoint.run))
    return 0


def _with_words(plain: dict[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    """Return the config of a run with the keys changed that a continuation may change.

    Raises:
        ConfigError: For a word that would make it another run.
    """
    from gantrain.config.grammar import read_value
    from gantrain.config.key_types import type_of_key

    if not words.keys().isdisjoint(BUDGETS):  # a new budget takes the place of the old one
        plain["train"] |= {"images": None, "seconds": None}
    for key, text in words.items():
        group, _, name = key.partition(".")
        is_known = name in plain[group] if isinstance(plain.get(group), dict) else group in plain
        if not is_known:
            raise ConfigError(key, "there is no such key in this run", suggest(key, RESUMABLE_KEYS))
        if key not in RESUMABLE_KEYS:
            remedy = f"only these may change: {', '.join(RESUMABLE_KEYS)}"
            raise ConfigError(key, "would make it another run", remedy)
        plain[group][name] = read_value(key, text, type_of_key(key))
    return plain


def resume_sweep(folder: Path, plan: Plan, words: list[str], configs: list[str]) -> int:
    """Sweep again in a sweep's folder, where the jobs that have finished stay as they are.

    Args:
        folder: The sweep's folder, which is its place whatever its files say.
        plan: Its plan, which a stranger may have written.
        words: The overrides that the user typed.
        configs: The user's ``--config-dir DIR``, or nothing.

    Raises:
        ConfigError: For a word that would make them other jobs.
        CheckpointError: For a word of the plan that may run code, or reach files outside the folder.
        GantrainError: When a job failed.
    """
    from gantrain.cli import train
    from gantrain.core.override import Override
    from gantrain.core.plugin_loading import load_plugins_of
    from gantrain.core.sweep_folder import SweepFolder
    from gantrain.sweeps.stored_words import RETYPED, repeated_words

    if "${" in str(folder):
        raise CheckpointError(folder, "has ${ in its name, which would stand for another folder", "rename it")
    # Where the jobs run may change, and how many trials there are; the jobs themselves may not.
    typed = {Override.parse(word).key for word in words}
    for key in sorted(typed):
        if not (key in RESUMABLE_KEYS or key.startswith(RETYPED)):
            remedy = (
                f"only these may change: {', '.join(RESUMABLE_KEYS)}, hydra/launcher, hydra.sweeper.n_trials"
            )
            raise ConfigError(key, "would make it another sweep", remedy)
    kept = repeated_words(plan.argv, typed, bool(configs), SweepFolder(folder).plan_file)
    load_plugins_of(plan.plugins, folder)
    return train.start([*kept, *configs, str(Override("run.dir", str(folder)).quoted()), *words])


COMMAND = Command(
    resume,
    usage=(("RUN [train.steps=N]", "continue, bit for bit as if never stopped"),),
    order=10,
    folder="sweep",
    words={key: Word() for key in (*RESUMABLE_KEYS, "hydra/launcher")},
)
