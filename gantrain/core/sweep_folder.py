"""A sweep on disk: its plan, its jobs and how each stands. Light: no torch, no hydra."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gantrain.core.files import is_locked, read_json, run_folder_lock, write_json
from gantrain.core.run_folder import PLAN, RunFolder
from gantrain.errors import CheckpointError

STOP = ".stop"  # the signals that a sweep received, for its jobs to follow
SUMMARY_TABLE, SUMMARY_TEXT, SUMMARY_FIGURE, SUMMARY_SAMPLES = (
    "summary.csv",
    "summary.md",
    "summary.png",
    "samples.png",
)


@dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Attributes:
        folder: Its name in the sweep's folder: its number, then what varies.
        overrides: The ``key=value`` words that make it.
    """

    folder: str
    overrides: tuple[str, ...] = ()

    @property
    def number(self) -> str:
        """Its number as its folder begins with it."""
        return self.folder.partition("-")[0]


@dataclass(frozen=True)
class Plan:
    """A whole sweep, written down before its first job starts.

    Attributes:
        command: The command line that makes it again.
        argv: The same as a list of words.
        jobs: All jobs.
        at_once: How many of them run side by side.
        pid: The process that sweeps; a job ends with it.
        plugins: The plug-ins from outside the package, as ``plugins.provenance`` has them.
    """

    command: str
    argv: tuple[str, ...]
    jobs: tuple[Job, ...]
    at_once: int = 1
    pid: int = 0
    plugins: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SweepFolder:
    """A sweep's folder; every property reads it anew.

    Attributes:
        path: Where it is.
    """

    path: Path

    @property
    def plan_file(self) -> Path:
        """The plan."""
        return self.path / PLAN

    @property
    def stop_file(self) -> Path:
        """The signals that the sweep received."""
        return self.path / STOP

    @property
    def is_locked(self) -> bool:
        """Whether a process is sweeping here."""
        return is_locked(self.path)

    def lock(self) -> AbstractContextManager[None]:
        """Make the folder and lock it against other processes. Raises OutputError where that cannot be done."""
        return run_folder_lock(self.path)

    def run(self, job: Job) -> RunFolder:
        """Return the run of a job, whether it has begun or not."""
        return RunFolder(self.path / job.folder)

    def write(self, plan: Plan) -> None:
        """Write the plan. Raises OSError."""
        write_json(self.plan_file, asdict(plan))

    def plan(self) -> Plan | None:
        """Return the whole plan, of which jobs can be run; None for a folder without one.

        Raises:
            CheckpointError: When it is there and anything in it is absent or broken.
        """
        if not self.plan_file.is_file():
            return None
        remedy = "resume its runs one by one"
        try:
            plain = read_json(self.plan_file)
            argv = tuple(map(str, plain["argv"]))
            jobs = tuple(_job(entry) for entry in plain["jobs"])
            at_once, pid, plugins = int(plain["at_once"]), int(plain["pid"]), dict(plain.get("plugins", {}))
            return Plan(str(plain["command"]), argv, jobs, at_once, pid, plugins)
        except CheckpointError as error:
            raise CheckpointError(error.where, error.what, remedy) from error
        except (ValueError, KeyError, TypeError) as error:
            what = f"cannot be read ({' '.join(str(error).split())})"
            raise CheckpointError(self.plan_file, what, remedy) from error

    def jobs(self, strict: bool = True) -> list[Job]:
        """Return the planned jobs, those that never began too; none without a plan.

        Args:
            strict: Whether a broken plan raises CheckpointError; otherwise the jobs that can be read are returned.
        """
        entries = read_json(self.plan_file, strict).get("jobs", [])
        if not strict:
            return _readable_jobs(entries)
        try:
            return [_job(entry) for entry in entries]
        except (KeyError, TypeError) as error:
            what = "does not hold what gantrain writes"
            raise CheckpointError(self.plan_file, what, "restore it") from error

    def summaries(self) -> dict[str, Path]:
        """Return the summaries that are there, by what they are."""
        names = {"summary": SUMMARY_TABLE, "figure": SUMMARY_FIGURE, "samples": SUMMARY_SAMPLES}
        paths = {word: self.path / name for word, name in names.items()}
        return {word: path for word, path in paths.items() if path.is_file()}

    def command(self) -> str:
        """Return the command line that makes the sweep again; an empty string where it is not known."""
        return str(read_json(self.plan_file, strict=False).get("command") or "")


def _job(entry: Mapping[str, Any]) -> Job:
    return Job(str(entry["folder"]), tuple(str(word) for word in entry["overrides"]))


def _readable_jobs(entries: Any) -> list[Job]:
    """Return the jobs that have a name; overrides that cannot be read are none."""
    found = entries if isinstance(entries, list) else []
    named = [entry for entry in found if isinstance(entry, dict) and isinstance(entry.get("folder"), str)]
    overrides = [entry["overrides"] if isinstance(entry.get("overrides"), list) else [] for entry in named]
    return [_job(entry | {"overrides": words}) for entry, words in zip(named, overrides, strict=True)]
