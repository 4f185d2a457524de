"""A sweep before its first job and after its last: every job checked, the plan written, the answer given."""

from __future__ import annotations

import shutil
import signal
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Any, TypeVar

from tqdm import tqdm

from gantrain.config.options import Config
from gantrain.core.files import ensure_empty, run_folder_lock
from gantrain.core.system import cores
from gantrain.core.text import format_duration
from gantrain.errors import ConfigError, DataError, GantrainError, Interrupted
from gantrain.reports.ranking import in_order
from gantrain.reports.run_folder import DONE
from gantrain.reports.tables import summarise
from gantrain.reports.text import end_table
from gantrain.sweeps.plan import LONGEST, Job, Plan, read_plan, result_of
from gantrain.sweeps.stop import STOP, noted_signals
from gantrain.tracking.tensorboard import sweep_record
from gantrain.training.dry_run.report import line
from gantrain.training.expected_tags import expected

T = TypeVar("T")
MANY = 20  # jobs whose check takes long enough for a bar
NAMED = 10  # jobs that cannot be run of which each has a line


def check_all(jobs: Sequence[Job], check: Callable[[Job], T]) -> list[T | None]:
    """Return what ``check`` gives for each job, or None for one whose data are not there yet.

    Args:
        jobs: All that are to run.
        check: Composes and resolves one job.

    Raises:
        ConfigError: Naming a job that cannot be run; the others that cannot are named on stderr before.
        DataError: When no job has its data.
    """
    found: list[T | None] = []
    wrong: list[tuple[Job, GantrainError]] = []
    absent: list[tuple[Job, DataError]] = []
    quiet = None if len(jobs) > MANY else True
    for job in tqdm(jobs, desc="checking", unit="job", leave=False, disable=quiet):
        try:
            found.append(check(job))
        except DataError as error:
            found.append(None)
            absent.append((job, error))
        except GantrainError as error:
            wrong.append((job, error))
    if wrong:
        for job, fault in wrong[1:NAMED]:
            print(f"gantrain: {_title(job, jobs)}: {fault}", file=sys.stderr)
        if len(wrong) > NAMED:
            print(f"gantrain: and {len(wrong) - NAMED} more jobs that cannot be run", file=sys.stderr)
        first, fault = wrong[0]
        what = f"{fault.where}: {fault.what}"
        raise ConfigError(f"nothing was started: {_title(first, jobs)}", what, fault.remedy)
    if len(absent) == len(jobs):
        raise absent[0][1]
    for job, gap in absent:
        title = _title(job, jobs)
        print(f"gantrain: {title} fails if this is not mended before its turn: {gap}", file=sys.stderr)
    return found


def _title(job: Job, jobs: Sequence[Job]) -> str:
    """Return a job's number, or name where it has none, and what of its overrides is not in all the others."""
    shared = set(jobs[0].overrides).intersection(*(other.overrides for other in jobs))
    own = [word for word in job.overrides if word not in shared] or job.overrides
    name = f"job #{job.number}" if job.number.isdigit() else job.folder
    return f"{name} ({' '.join(own)})"


def see_launcher(launcher: Mapping[str, Any]) -> None:
    """See that a launcher can start jobs here. Raises ConfigError."""
    if launcher.get("n_jobs") == 0:
        raise ConfigError(
            "hydra.launcher.n_jobs", "0 starts no job", "give 1 or more, or -1 for one on each core"
        )
    if str(launcher.get("_target_")).endswith("SlurmLauncher") and shutil.which("srun") is None:
        what = "there is no Slurm on this machine"
        raise ConfigError("hydra/launcher", what, "choose from basic, joblib, submitit_local")


def side_by_side(launcher: Mapping[str, Any], jobs: int) -> int:
    """Return how many jobs a launcher runs at once on this machine.

    Those with ``n_jobs`` say it, where -1 is one for each core; submitit's local one starts all of them; a cluster
    gives each a machine, or a part of one, of its own.
    """
    if str(launcher.get("_target_")).endswith("submitit_launcher.LocalLauncher"):
        return jobs
    wanted = int(launcher.get("n_jobs", 1))
    return max(1, min(cores() + 1 + wanted if wanted < 0 else wanted, jobs))


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Hold a sweep's folder, new or of an earlier attempt, so that the same sweep is not run twice at once.

    Raises:
        ConfigError: When something else is there.
        OutputError: When another process sweeps there, or it cannot be written.
    """
    if read_plan(folder) is None:
        ensure_empty(folder)
    before = folder.exists()
    try:
        with run_folder_lock(folder):
            yield
    finally:
        if not before and [path.name for path in folder.glob("*")] == [".lock"]:
            shutil.rmtree(folder, ignore_errors=True)  # what was refused before it began leaves no folder


def foretold(plan: Plan, configs: Sequence[Config | None]) -> str:
    """Return a line for each job of a dry run: its number, and what it would be."""
    lines = [
        f"{job.folder:{LONGEST}}  {line(config) if config else 'its data are not there'}"
        for job, config in zip(plan.jobs, configs, strict=True)
    ]
    return "\n".join([*lines, f"{len(lines)} jobs, nothing was started: train.dry_run=true"])


def record(folder: Path, plan: Plan, configs: Sequence[Config | None]) -> None:
    """Tell the dashboard's table of hyperparameters which keys vary and which metrics there will be."""
    known = {tag for config in configs if config for tag in expected(config)}
    sweep_record(folder, [job.overrides for job in plan.jobs], in_order(known))


def told(folder: Path, plan: Plan, result: Mapping[str, Any]) -> None:
    """Print what became of a job: its table, or its fault, or one line with the time left where jobs share a screen."""
    number = folder.name.partition("-")[0]
    if result["status"] not in DONE:
        print(f"gantrain: job {number}: {result.get('error', result['status'])}", file=sys.stderr, flush=True)
    if plan.at_once == 1:
        if result["status"] == "finished":
            print(end_table(result, folder), flush=True)
        elif result["status"] == "pruned":
            print(f"job {number}: {result['error']}", flush=True)
        return
    results = [result_of(folder.parent / job.folder) for job in plan.jobs]
    took = [float(one["seconds"]) for one in results if one.get("seconds")]
    to_go = sum(one["status"] == "missing" for one in results)
    said = f"{len(results) - to_go} of {len(results)} jobs: {folder.name} {result['status']}"
    left = statistics.fmean(took) * to_go / plan.at_once if took else 0.0
    if "seconds" in result:
        said += f", {result['seconds']:.0f} s"
    print(f"{said}; about {format_duration(left)} left" if left else said, flush=True)


def answer(folder: Path, plan: Plan) -> None:
    """Print and write the sweep's table, and say in the end when it is not complete.

    Raises:
        Interrupted: After a signal.
        GantrainError: When a job failed or never ran.
    """
    results = [result_of(folder / job.folder) for job in plan.jobs]
    print(summarise(folder, [folder / job.folder for job in plan.jobs]))
    bad = sum(result["status"] not in DONE for result in results)
    noted = noted_signals(folder / STOP)
    if noted:
        what = f"stopped by {signal.Signals(noted[0]).name} with {bad} of {len(results)} jobs to go"
        raise Interrupted(folder, what, f"go on with: gantrain resume {quote(str(folder))}", 128 + noted[0])
    if bad:
        remedy = f"once that is mended, this runs just these: gantrain resume {quote(str(folder))}"
        raise GantrainError(folder, f"{bad} of {len(results)} jobs failed", remedy)
