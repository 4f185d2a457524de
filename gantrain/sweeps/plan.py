"""The plan of a sweep: its jobs and their folders, written before the first starts, and the result of each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gantrain.config.options import Train
from gantrain.config.resume import RESUMABLE_KEYS
from gantrain.core.files import ensure_empty, write_json
from gantrain.core.override import Override
from gantrain.errors import CheckpointError, ConfigError
from gantrain.reports.run_folder import SWEEP, found_json
from gantrain.sweeps.stop import STOP_FILE

MAX_NAME_LETTERS = 24  # what TensorBoard shows of a run's name without cutting it


@dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Attributes:
        folder: Name of its folder in the sweep's: its number, then what varies.
        overrides: Its command line, ``key=value`` each.
    """

    folder: str
    overrides: tuple[str, ...]

    @property
    def number(self) -> str:
        """Its number, with the leading zeros of its folder's name."""
        return self.folder.partition("-")[0]


@dataclass(frozen=True)
class Plan:
    """A whole sweep.

    Attributes:
        command: The command line that repeats it.
        argv: The same as a list, without the program's name.
        jobs: All jobs.
        at_once: How many of them run concurrently.
        pid: Process id of the sweep; its jobs end when it ends.
    """

    command: str
    argv: tuple[str, ...]
    jobs: tuple[Job, ...]
    at_once: int = 1
    pid: int = 0

    def write(self, folder: Path) -> None:
        """Write ``sweep.json``. Raises OSError."""
        write_json(folder / SWEEP, asdict(self))


def read_plan(folder: Path) -> Plan | None:
    """Return the plan of a sweep's folder, or None for any other folder.

    Raises:
        CheckpointError: When the record is there and cannot be read.
    """
    path = folder / SWEEP
    if not path.is_file():
        return None
    try:
        plain = json.loads(path.read_bytes())
        jobs = tuple(Job(str(job["folder"]), tuple(map(str, job["overrides"]))) for job in plain["jobs"])
        argv = tuple(map(str, plain["argv"]))
        return Plan(str(plain["command"]), argv, jobs, int(plain["at_once"]), int(plain["pid"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = f"cannot be read ({' '.join(str(error).split())})"
        raise CheckpointError(path, what, "resume its runs one by one") from error


def plan_jobs(combinations: Sequence[Sequence[str]], varied: Sequence[str]) -> tuple[Job, ...]:
    """Return one job for each combination of overrides.

    Args:
        combinations: The overrides of each job.
        varied: Keys with more than one value among them, which the jobs' names show.
    """
    width = len(str(max(0, len(combinations) - 1)))
    return tuple(
        Job(job_name(number, width, overrides, varied), tuple(overrides))
        for number, overrides in enumerate(combinations)
    )


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
    """Return the last part of a path, a number or boolean with the last part of its key, any other value as it is."""
    value = value.strip("'\"").rstrip("/").rpartition("/")[2]
    needs_key = re.match(r"[-+.\d\[{]|(true|false|null)$", value, re.IGNORECASE)
    return key.rpartition(".")[2] + value if needs_key else value


def result_of(run: Path) -> dict[str, Any]:
    """Return a run's ``result.json``; ``{"status": "missing"}`` where there is none or it cannot be read."""
    plain = found_json(run / "result.json")
    return plain if "status" in plain else {"status": "missing"}


def is_done(result: Mapping[str, Any], options: Train) -> bool:
    """Whether a run with this ``result.json`` has nothing left to do under these options."""
    if result["status"] == "finished":
        return options.over(result.get("step", 0), result.get("training_seconds", 0.0))
    return bool(result["status"] == "pruned")


def open_sweep(folder: Path, plan: Plan) -> None:
    """Write the plan into a folder that is empty or holds the same sweep, whose finished jobs then stay.

    Raises:
        ConfigError: When the folder holds anything else.
        OSError: When it cannot be written.
    """
    before = read_plan(folder)
    if before is None:
        ensure_empty(folder)
    elif [_identity(job) for job in before.jobs] != [_identity(job) for job in plan.jobs]:
        raise ConfigError("run.dir", f"{folder} holds another sweep", "choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STOP_FILE).unlink(missing_ok=True)
    plan.write(folder)


def _identity(job: Job) -> tuple[str, list[str]]:
    """Return a job's name and the overrides that decide its numbers, without those on where and how it runs."""
    fixed = [word for word in job.overrides if not word.startswith(("run.", "hydra"))]
    return job.folder, sorted(word for word in fixed if Override.parse(word).key not in RESUMABLE_KEYS)
