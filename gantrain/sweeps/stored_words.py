"""The words of a sweep's file that resuming it may repeat: registered choices, numbers, and nothing that runs code.

A sweep's folder may be a stranger's, so its file cannot select configs, callbacks or places. What the user types on the
line of ``gantrain resume`` is not checked here.
"""

import hashlib
import json
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import fields
from pathlib import Path
from shlex import quote

from gantrain.config.options import Root
from gantrain.core.groups import GROUPS
from gantrain.core.override import Override
from gantrain.core.plugin_trust import is_trusted, trust
from gantrain.core.scalars import read_text
from gantrain.errors import CheckpointError, ConfigError

ROOTS = {field.name for field in fields(Root)} | set(GROUPS)  # what a key begins with, besides hydra
RETYPED = (
    *("hydra/launcher", "hydra.launcher.", "hydra.sweeper.n_trials", "hydra.sweeper.storage"),
    *("hydra.sweeper.replicas", "sweep.replicas"),
)
FLAGS = ("-m", "--multirun")
PLAIN, TAGS = r"[\w.+-]+", r"\[?[\w./-]+(,[\w./-]+)*\]?"
LAUNCHER = (
    *("n_jobs", "timeout", "timeout_min", "signal_delay_s", "max_num_timeout", "array_parallelism"),
    *("nodes", "tasks_per_node", "mem_gb", "mem_per_cpu", "mem_per_gpu"),
    *("cpus_per_task", "cpus_per_gpu", "gpus_per_node", "gpus_per_task", "partition", "qos", "account"),
    *("ray.remote.num_cpus", "ray.remote.num_gpus"),
)
SWEEPER = ("n_trials", "batch", "sampler", "pruner", "startup_trials", "warmup", "seed")
# Values by key. The others of ``hydra`` name code to call, commands for a shell, or files to read and write.
HYDRA_WORDS = {
    "hydra.mode": "MULTIRUN",
    "hydra/launcher": r"[A-Za-z]\w*",
    "hydra/sweeper": "grid|optuna|study",
    "hydra.sweeper.replicas": "false|true|always",
    "hydra.sweeper.study": PLAIN,
    "hydra.sweeper.metric": TAGS,
    "hydra.sweeper.direction": TAGS,
    **{f"hydra.launcher.{key}": PLAIN for key in LAUNCHER},
    **{f"hydra.sweeper.{key}": PLAIN for key in SWEEPER},
}


def remember_words(folder: Path, argv: Sequence[str]) -> None:
    """Record that the user typed these words for a sweep's folder, if one of them could run code there."""
    if any(
        word.startswith("-") or not is_harmless(word, _key_of(word)) for word in argv if word not in FLAGS
    ):
        trust(os.path.realpath(folder), _digest(argv))


def repeated_words(argv: Sequence[str], typed: Collection[str], owns_configs: bool, file: Path) -> list[str]:
    """Return the words of a sweep's plan to repeat, without those on its place.

    Args:
        argv: The words in the plan.
        typed: The keys that the user sets now, which replace those of the plan.
        owns_configs: Whether the user names a folder of configs now, which replaces that of the plan.
        file: The plan.

    Raises:
        CheckpointError: For a word that could run code, or reach files outside the sweep's folder, unless this user
            typed these very words for this folder.
    """
    is_own = is_trusted(os.path.realpath(file.parent), _digest(argv))
    words, configs = split_config_dir(argv)
    if configs and not (owns_configs or is_own):
        remedy = f"if they are yours, add to the command: --config-dir {quote(configs[1])}"
        raise CheckpointError(file, f"reads configs of {configs[1]}, which may run code", remedy)
    kept = ["--multirun", *([] if owns_configs else configs)]
    for word in words:
        key = _key_of(word)
        if word in FLAGS or key in typed or key.partition(".")[0] == "run":
            continue
        if not (is_own or is_harmless(word, key)):
            yours = f"add it to the command: {quote(word)}" if key.startswith(RETYPED) else ""
            yours = yours or "type the sweep's own command again, with run.dir and this folder"
            what = f"holds {word}, which may run code or reach other files"
            raise CheckpointError(file, what, f"if it is yours, {yours}")
        kept.append(word)
    return kept


def split_config_dir(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words without ``--config-dir DIR``, and the last such flag with its folder; an empty list for none."""
    rest, configs, words = [], [], iter(argv)
    for word in words:
        flag, equals, folder = word.partition("=")
        if flag in ("--config-dir", "-cd"):
            configs = ["--config-dir", folder if equals else next(words, "")]
        else:
            rest.append(word)
    return rest, configs


def _digest(argv: Sequence[str]) -> dict[str, str]:
    return {"argv": hashlib.sha256(json.dumps(list(argv)).encode()).hexdigest()}


def _key_of(word: str) -> str:
    """Return the key of an override; an empty string for a word that is none."""
    try:
        return Override.parse(word).key
    except ConfigError:
        return ""


def is_harmless(word: str, key: str) -> bool:
    """Whether an override names only registered choices and values of keys."""
    value = word.partition("=")[2]
    if key in HYDRA_WORDS:
        return re.fullmatch(HYDRA_WORDS[key], read_text(value)) is not None
    if not re.fullmatch(r"\w+(\.\w+)*", key, re.ASCII) or key.partition(".")[0] not in ROOTS:
        return False
    if key in GROUPS and re.search(r"[/\\$]", value):  # a path of a YAML file anywhere
        return False
    # Another key's value is harmless; a resolver reads the environment.
    return "${" not in re.sub(r"\$\{\w+(\.\w+)*\}", "", value)
