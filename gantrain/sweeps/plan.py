"""The jobs of a sweep: their names, which of them are done, and the folder that holds only one sweep."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from gantrain.config.options import Train
from gantrain.config.overrides import with_absolute_path
from gantrain.config.resume import RESUMABLE_KEYS
from gantrain.core.new_folder import ensure_empty
from gantrain.core.override import Override
from gantrain.core.sweep_folder import SEARCH, Job, Plan, SweepFolder
from gantrain.errors import ConfigError

MAX_NAME_LETTERS = 24  # what TensorBoard shows of a run's name without cutting it


def plan_jobs(combinations: Sequence[Sequence[str]], varied: Sequence[str]) -> tuple[Job, ...]:
    """Return one job for each combination of overrides, named by its values of the keys in ``varied``."""
    width = len(str(max(0, len(combinations) - 1)))  # leading zeros, so that names sort by number
    names = (job_name(i, width, words, varied) for i, words in enumerate(combinations))
    return tuple(Job(name, tuple(words)) for name, words in zip(names, combinations, strict=True))


def job_name(number: int, width: int, overrides: Sequence[str], varied: Sequence[str]) -> str:
    """Return a job's number, padded with zeros to ``width``, and its values of the keys that vary, in 24 letters."""
    parsed = map(Override.parse, overrides)
    values = [_short_value(one.key, one.value) for one in parsed if one.key in varied]
    # Only characters that need no quotes in a shell and no escape in a URL.
    safe = [re.sub(r"[^A-Za-z0-9._+-]+", "_", value).strip("-_.") for value in values]
    name = f"{number:0{width}d}"
    for i, part in enumerate([part for part in safe if part] or ["job"]):
        longer = f"{name}-{part}"
        if i and len(longer) > MAX_NAME_LETTERS:  # a number cut short would be another number
            break
        name = longer[:MAX_NAME_LETTERS].rstrip("-_.")
    return name


def _short_value(key: str, value: str) -> str:
    """Return the last part of a path, a number or boolean with the last part of its key, any other value unchanged."""
    value = value.strip("'\"").rstrip("/").rpartition("/")[2]
    needs_key = re.match(r"[-+.\d\[{]|(true|false|null)$", value, re.IGNORECASE)
    return key.rpartition(".")[2] + value if needs_key else value


def is_done(result: Mapping[str, Any], options: Train) -> bool:
    """Whether a run with this ``result.json`` has nothing left to do under these options."""
    if result["status"] == "finished":  # a larger budget may have been set since
        return options.is_over(result.get("step", 0), result.get("training_seconds", 0.0))
    return bool(result["status"] == "pruned")


def open_sweep(sweep: SweepFolder, plan: Plan) -> None:
    """Write the plan into a folder that is empty or has the same jobs. Raises ConfigError, or OSError from writing."""
    before = sweep.plan()
    if (sweep.path / SEARCH).exists():  # its jobs would report to the storage that this file names
        raise ConfigError("run.dir", f"{sweep.path} holds a search", "choose another folder")
    if before is None:  # not a sweep's folder
        ensure_empty(sweep.path)
    elif [_identity(job) for job in before.jobs] != [_identity(job) for job in plan.jobs]:
        raise ConfigError("run.dir", f"{sweep.path} holds another sweep", "choose another folder")
    sweep.path.mkdir(parents=True, exist_ok=True)
    sweep.stop_file.unlink(missing_ok=True)
    sweep.write(plan)


def _identity(job: Job) -> tuple[str, list[str]]:
    """Return a job's name and the overrides that decide its numbers, without those on where and how it runs."""
    fixed = [with_absolute_path(word) for word in job.overrides if not word.startswith(("run.", "hydra"))]
    return job.folder, sorted(word for word in fixed if Override.parse(word).key not in RESUMABLE_KEYS)
