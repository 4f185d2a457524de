"""``gantrain resume RUN``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gantrain.cli.arguments import single_folder, split_arguments
from gantrain.cli.command import Command, Word
from gantrain.config.resume import RESUMABLE_KEYS
from gantrain.core.system import is_one_of_several
from gantrain.distributed.launch import count_of, launch
from gantrain.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from gantrain.core.sweep_folder import Plan


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
    if plan is None and (count := processes_of(folder, words)) > 1:
        return launch(["resume", *argv], count)
    from gantrain.datasets.files.torchvision import SOURCES, downloads  # with torch, once the words are right

    with downloads(not SOURCES.isdisjoint(words)):
        if plan is None:
            from gantrain.training.resume import resume_run

            resume_run(folder, words)
            return 0
        if is_one_of_several():
            remedy = "start it once: each of its jobs starts its own processes"
            raise ConfigError(
                folder, "is a sweep, and several processes were started to play one run", remedy
            )
        return resume_sweep(folder, plan, [word for word in argv if word not in folders], configs)


def processes_of(folder: Path, words: Mapping[str, str]) -> int:
    """Return how many processes go on with a run: as typed, else as many as it had, if this machine has the cores."""
    from gantrain.core.run_folder import RunFolder
    from gantrain.core.system import usable_cores

    if is_one_of_several():
        return 0
    typed, device = words.get("device.processes", ""), RunFolder.of(folder).config.get("device")
    before = device.get("processes") if isinstance(device, dict) else None
    if typed or not isinstance(before, int):
        return count_of(typed)
    return before if before <= usable_cores() else 1


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
