"""``gantrain resume RUN``."""

from __future__ import annotations

import shlex
from pathlib import Path

from gantrain.cli.arguments import one_run, run_and_words, told_apart, value_of
from gantrain.cli.hydra_app import train
from gantrain.config.resolve import resolve
from gantrain.config.resume import RESUMABLE_KEYS
from gantrain.core.override import Override
from gantrain.core.run_folder import RunFolder
from gantrain.core.sweep_folder import Plan, SweepFolder
from gantrain.errors import ConfigError, suggest
from gantrain.reports.text import end_table
from gantrain.training.restore import described, same_data
from gantrain.training.run import prepare, run

BUDGETS = ("train.steps", "train.images", "train.seconds")


def resume(argv: list[str]) -> int:
    """Go on from a checkpoint in the same folder, up to ``train.steps``; of a sweep, run what is missing or failed."""
    folders, _ = told_apart("resume", argv)
    folder = one_run("resume", folders)
    plan = SweepFolder(folder).plan()
    if plan is not None:
        return resume_sweep(folder, plan, [word for word in argv if word not in folders])
    checkpoint, words = run_and_words("resume", argv)
    _, spec = described(checkpoint)
    plain = checkpoint.config
    if not words.keys().isdisjoint(BUDGETS):  # a new budget takes the place of the old one
        plain["train"] |= {"images": None, "seconds": None}
    for key, text in words.items():
        group, _, name = key.partition(".")
        known = name in plain[group] if isinstance(plain.get(group), dict) else group in plain
        if not known:
            raise ConfigError(key, "there is no such key in this run", suggest(key, RESUMABLE_KEYS))
        if key not in RESUMABLE_KEYS:
            remedy = f"only these may change: {', '.join(RESUMABLE_KEYS)}"
            raise ConfigError(key, "would make it another run", remedy)
        plain[group][name] = value_of(key, text)
    config = resolve(plain)
    options = config.train
    # A run that was stopped between its last step and its result still has its metrics to read.
    concluded = RunFolder(checkpoint.run).outcome()["status"] == "finished"
    if concluded and options.is_over(checkpoint.step, checkpoint.seconds):
        done = f"already finished at step {checkpoint.step}"
        more = f"train.{options.budget}={2 * getattr(options, options.budget)}"
        if options.budget != "seconds":
            more += f" optimizer.horizon={2 * checkpoint.step}"
        where = shlex.quote(str(checkpoint.run))
        print(f"{checkpoint.run}: {done}; go on with: gantrain resume {where} {more}")
        return 0
    same_data(config, spec)
    result = run(config, checkpoint.run, checkpoint, data=prepare(config))
    print(end_table(result, checkpoint.run))
    return 0


def resume_sweep(folder: Path, plan: Plan, words: list[str]) -> int:
    """Sweep again in a sweep's folder, where the jobs that have finished stay as they are.

    Raises:
        ConfigError: For a word that would make them other jobs.
        GantrainError: When a job failed.
    """
    for word in words:
        key = Override.parse(word).key
        free = ("hydra/launcher", "hydra.launcher.", "hydra.sweeper.n_trials")
        if not (key in RESUMABLE_KEYS or key.startswith(free)):
            remedy = (
                f"only these may change: {', '.join(RESUMABLE_KEYS)}, hydra/launcher, hydra.sweeper.n_trials"
            )
            raise ConfigError(key, "would make it another sweep", remedy)
    kept = [word for word in plan.argv if not word.startswith("run.dir=")]
    return train([*kept, str(Override("run.dir", str(folder)).quoted()), *words])
