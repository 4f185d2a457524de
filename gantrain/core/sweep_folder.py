"""A sweep on disk: its plan and its jobs. Imports neither torch nor hydra."""

import re
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gantrain.core.files import MAX_PLAN_BYTES, read_json, read_text, write_json
from gantrain.core.folder_lock import LockedFolder
from gantrain.core.run_folder import PLAN, RunFolder
from gantrain.core.text import one_line
from gantrain.errors import CheckpointError

SEARCH = "optuna.json"  # what identifies a search
STUDY = "study.yaml"  # what a study laid down before its first run
STOP = ".stop"  # numbers of the signals that a sweep received, which its jobs obey
JOB_NAME = re.compile(r"\d{1,9}(-[A-Za-z0-9._+=,-]*)?")
SUMMARY_TABLE, SUMMARY_TEXT = "summary.csv", "summary.md"
SUMMARY_FIGURE, SUMMARY_SAMPLES = "summary.png", "samples.png"


@dataclass(frozen=True)
class Job:
    """One run of a sweep."""

    folder: str  # name in the sweep's folder: the job's number, then the values that vary
    overrides: tuple[str, ...] = ()  # ``key=value`` words
    setting: str = ""  # the name of its setting in a study

    @property
    def number(self) -> str:
        """The job's number, with which the name of its folder begins."""
        return self.folder.partition("-")[0]


@dataclass(frozen=True)
class Plan:
    """All jobs of a sweep, written to ``sweep.json`` before the first one starts."""

    command: str  # the command line that repeats the sweep
    argv: tuple[str, ...]  # its arguments, without ``gantrain`` and ``--plugins``
    jobs: tuple[Job, ...]
    at_once: int = 1  # number of jobs that run in parallel
    pid: int = 0  # the sweeping process; a job ends with it
    plugins: dict[str, Any] = field(default_factory=dict)  # of ``core.plugins.provenance``
    tags: tuple[str, ...] = ()  # of the metrics that its jobs compute
    groups: tuple[tuple[str, ...], ...] = ()  # folders of the jobs that are played at once
    metric: str = ""  # the tag by which a study compares its settings

    def played_with(self, job: Job) -> list[Job]:
        """Return the jobs that are played at once with this one, which is the first of them."""
        folders = next((group for group in self.groups if group[0] == job.folder), ())
        return [other for other in self.jobs if other.folder in folders[1:]]


@dataclass(frozen=True)
class SweepFolder(LockedFolder):
    """The folder of a sweep; nothing is cached."""

    @property
    def plan_file(self) -> Path:
        """The plan."""
        return self.path / PLAN

    @property
    def stop_file(self) -> Path:
        """The signals that the sweep received, one number per line."""
        return self.path / STOP

    logs = (STOP,)

    def signals(self) -> list[int]:
        """Return the numbers of the signals that the sweep received, oldest first."""
        legal = {str(int(number)) for number in signal.Signals}
        return [int(line) for line in read_text(self.stop_file, strict=False).split() if line in legal]

    def check_entries(self) -> None:
        """Check the sweep's entries, and those of each of its runs."""
        super().check_entries()
        with suppress(FileNotFoundError):
            for path in filter(Path.is_dir, self.path.iterdir()):
                RunFolder(path).check_entries()

    def run(self, job: Job) -> RunFolder:
        """Return the run of a job, which need not have begun."""
        return RunFolder(self.path / job.folder)

    def write(self, plan: Plan) -> None:
        """Write the plan. Raises OSError."""
        write_json(self.plan_file, asdict(plan))

    def plan(self) -> Plan | None:
        """Return the complete plan; None for a folder without one. Raises CheckpointError if any part is broken."""
        if not self.plan_file.is_file():
            return None
        remedy = "resume its runs one by one"
        try:
            plain = read_json(self.plan_file, most=MAX_PLAN_BYTES)
            argv = tuple(map(str, plain["argv"]))
            jobs = tuple(_job(entry) for entry in plain["jobs"])
            at_once, pid, plugins = int(plain["at_once"]), int(plain["pid"]), dict(plain.get("plugins", {}))
            tags = tuple(map(str, plain.get("tags", ())))
            groups = tuple(tuple(map(str, group)) for group in plain.get("groups", ()))
            metric = str(plain.get("metric", ""))
            return Plan(str(plain["command"]), argv, jobs, at_once, pid, plugins, tags, groups, metric)
        except CheckpointError as error:
            raise CheckpointError(error.where, error.what, remedy) from error
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            what = f"cannot be read ({' '.join(str(error).split())})"
            raise CheckpointError(self.plan_file, what, remedy) from error

    def jobs(self, strict: bool = True) -> list[Job]:
        """Return the planned jobs, including those that never began; none without a plan.

        Args:
            strict: Whether a broken plan raises CheckpointError; otherwise the jobs that can be read are returned.
        """
        entries = read_json(self.plan_file, strict, MAX_PLAN_BYTES).get("jobs", [])
        if not strict:  # jobs with a folder, without overrides that cannot be read
            entries = entries if isinstance(entries, list) else []
            named = [
                job for job in entries if isinstance(job, dict) and JOB_NAME.fullmatch(str(job.get("folder")))
            ]
            entries = [
                job if isinstance(job.get("overrides"), list) else job | {"overrides": []} for job in named
            ]
        try:
            return [_job(entry) for entry in entries]
        except (KeyError, TypeError, ValueError) as error:
            what = "does not hold what gantrain writes"
            raise CheckpointError(self.plan_file, what, "restore it") from error

    def summaries(self) -> dict[str, Path]:
        """Return the existing summary files by kind."""
        names = {"summary": SUMMARY_TABLE, "figure": SUMMARY_FIGURE, "samples": SUMMARY_SAMPLES}
        paths = {word: self.path / name for word, name in names.items()}
        return {word: path for word, path in paths.items() if path.is_file()}

    def metric(self) -> str:
        """Return the tag by which a study compares its settings; an empty string for another sweep."""
        return str(read_json(self.plan_file, False, MAX_PLAN_BYTES).get("metric") or "")

    def command(self) -> str:
        """Return the command line that repeats the sweep; an empty string if unknown."""
        return str(read_json(self.plan_file, False, MAX_PLAN_BYTES).get("command") or "")


def _job(entry: Mapping[str, Any]) -> Job:
    """Return a job of the plan. Raises ValueError for a folder that is not in the sweep's, which others may name."""
    folder = str(entry["folder"])
    if not JOB_NAME.fullmatch(folder):
        raise ValueError(f"{one_line(folder, 80)} is not the name of a job's folder")
    setting = entry.get("setting", "")
    overrides = tuple(str(word) for word in entry["overrides"])
    return Job(folder, overrides, setting if isinstance(setting, str) else "")
