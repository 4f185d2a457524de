"""A sweep as it was planned: its jobs by folder, written down before the first starts, and what became of each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gantrain.config.options import Train
from gantrain.core.files import ensure_empty, write_json
from gantrain.core.override import Override
from gantrain.errors import CheckpointError, ConfigError
from gantrain.reports.run_folder import SWEEP, found_json
from gantrain.sweeps.stop import STOP

LONGEST = 24  # letters of a job's name, which a dashboard shows whole

# Keys that may differ when a run goes on: they do not change what the finished steps were.
MAY_CHANGE = (
    "train.steps",
    "train.seconds",
    "train.images",
    "train.log_every",
    "train.sample_every",
    "train.evaluate_every",
    "train.checkpoint_every",
    "train.keep_checkpoints",
    "optimizer.horizon",
    "dataset.root",
    "dataset.path",
    "dataset.attributes",
    "device.kind",
    "device.index",
    "device.threads",
)


@dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Attributes:
        folder: Its name in the sweep's folder: its number, then what varies.
        overrides: ``key=value`` words that make it.
    """

    folder: str
    overrides: tuple[str, ...]

    @property
    def number(self) -> str:
        """Its number as its folder begins with it."""
        return self.folder.partition("-")[0]


@dataclass(frozen=True)
class Plan:
    """A whole sweep.

    Attributes:
        command: What makes it again.
        argv: The same as a list of words.
        jobs: All jobs.
        at_once: How many of them run side by side.
        pid: The process that sweeps; a job ends with it.
    """

    command: str
    argv: tuple[str, ...]
    jobs: tuple[Job, ...]
    at_once: int = 1
    pid: int = 0

    def write(self, folder: Path) -> None:
        """Write it down. Raises OSError."""
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


def named(combinations: Sequence[Sequence[str]], varied: Sequence[str]) -> tuple[Job, ...]:
    """Return jobs named by their number and the values of the keys that vary, at most 24 letters in all.

    Args:
        combinations: The overrides of each job.
        varied: Keys with more than one value among them.
    """
    width = len(str(max(0, len(combinations) - 1)))
    return tuple(numbered(number, width, overrides, varied) for number, overrides in enumerate(combinations))


def numbered(number: int, width: int, overrides: Sequence[str], varied: Sequence[str]) -> Job:
    """Return one job named by its number, with zeros to ``width``, and its values of the keys that vary."""
    typed = map(Override.parse, overrides)
    values = [_brief(word.key, word.value) for word in typed if word.key in varied]
    said = [re.sub(r"[^A-Za-z0-9._+-]+", "_", value).strip("-_.") for value in values]
    name = f"{number:0{width}d}"
    for i, part in enumerate([part for part in said if part] or ["job"]):
        longer = f"{name}-{part}"
        if i and len(longer) > LONGEST:  # half a number would be another number
            break
        name = longer[:LONGEST].rstrip("-_.")
    return Job(name, tuple(overrides))


def _brief(key: str, value: str) -> str:
    """Return a value, of a path its last part, after the last word of its key where it is a number or a switch."""
    value = value.strip("'\"").rstrip("/").rpartition("/")[2]
    says_little = re.match(r"[-+.\d\[{]|(true|false|null)$", value, re.IGNORECASE)
    return key.rpartition(".")[2] + value if says_little else value


def result_of(run: Path) -> dict[str, Any]:
    """Return what ``result.json`` holds; ``{"status": "missing"}`` where a run left none that can be read."""
    plain = found_json(run / "result.json")
    return plain if "status" in plain else {"status": "missing"}


def is_done(result: Mapping[str, Any], options: Train) -> bool:
    """Whether nothing is left to do for a run with these options, by what its ``result.json`` holds."""
    if result["status"] == "finished":
        return options.over(result.get("step", 0), result.get("training_seconds", 0.0))
    return bool(result["status"] == "pruned")


def open_sweep(folder: Path, plan: Plan) -> None:
    """Write the plan into a folder that is free or holds the same sweep, of which the finished jobs then stay.

    Raises:
        ConfigError: When something else is there.
        OSError: When it cannot be written.
    """
    before = read_plan(folder)
    if before is None:
        ensure_empty(folder)
    elif [_settled(job) for job in before.jobs] != [_settled(job) for job in plan.jobs]:
        raise ConfigError("run.dir", f"{folder} holds another sweep", "choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STOP).unlink(missing_ok=True)
    plan.write(folder)


def _settled(job: Job) -> tuple[str, list[str]]:
    """Return a job's name and the overrides that make it another job, without where and how it runs."""
    fixed = [word for word in job.overrides if not word.startswith(("run.", "hydra"))]
    return job.folder, sorted(word for word in fixed if Override.parse(word).key not in MAY_CHANGE)
