"""A sweep before its first job and after its last: every job checked, the folder locked, the results printed."""

from __future__ import annotations

import shutil
import signal
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from shlex import quote
from typing import Any, TypeVar

from tqdm import tqdm

from gantrain.config.options import Config
from gantrain.core.files import LOCK, ensure_empty
from gantrain.core.run_folder import DONE
from gantrain.core.sweep_folder import Job, Plan, SweepFolder
from gantrain.core.system import usable_cores
from gantrain.core.text import format_duration
from gantrain.errors import ConfigError, DataError, GantrainError, Interrupted
from gantrain.reports.ranking import order_tags
from gantrain.reports.tables import summarise
from gantrain.reports.text import end_table
from gantrain.sweeps.plan import MAX_NAME_LETTERS
from gantrain.sweeps.stop import read_signals
from gantrain.tracking.tensorboard import write_hparams_columns
from gantrain.training.dry_run.report import summary_line
from gantrain.training.evaluate import expected_tags

T = TypeVar("T")
MIN_JOBS_FOR_BAR = 20  # checking fewer takes about a second
MAX_ERROR_LINES = 10


def check_all(jobs: Sequence[Job], check: Callable[[Job], T]) -> list[T | None]:
    """Return the result of ``check`` for each job, or None for a job whose data are not there yet.

    Args:
        jobs: All jobs of a sweep.
        check: Composes and resolves one job.

    Raises:
        ConfigError: For the first invalid job; the other invalid ones are printed to stderr before.
        DataError: When no job has its data.
    """
    checked: list[T | None] = []
    errors: list[tuple[Job, GantrainError]] = []
    no_bar = None if len(jobs) > MIN_JOBS_FOR_BAR else True  # None draws it on a terminal only
    for job in tqdm(jobs, desc="checking", unit="job", leave=False, disable=no_bar):
        try:
            checked.append(check(job))
        except GantrainError as error:
            checked.append(None)
            errors.append((job, error))
    # Absent data may arrive before the job's turn; nothing else can heal by itself.
    invalid = [(job, error) for job, error in errors if not isinstance(error, DataError)]
    if invalid:
        for job, problem in invalid[1:MAX_ERROR_LINES]:
            print(f"gantrain: {_title(job, jobs)}: {problem}", file=sys.stderr)
        if len(invalid) > MAX_ERROR_LINES:
            print(f"gantrain: and {len(invalid) - MAX_ERROR_LINES} more invalid jobs", file=sys.stderr)
        job, problem = invalid[0]
        where = f"nothing was started: {_title(job, jobs)}"
        raise ConfigError(where, f"{problem.where}: {problem.what}", problem.remedy)
    if len(errors) == len(jobs):  # all data are absent
        raise errors[0][1]
    for job, problem in errors:
        message = f"{_title(job, jobs)} will fail unless fixed before its turn: {problem}"
        print(f"gantrain: {message}", file=sys.stderr)
    return checked


def _title(job: Job, jobs: Sequence[Job]) -> str:
    """Return a job's number, or name where it has none, and those of its overrides that not all jobs share."""
    shared = set(jobs[0].overrides).intersection(*(other.overrides for other in jobs))
    own = [word for word in job.overrides if word not in shared] or job.overrides
    name = f"job #{job.number}" if job.number.isdigit() else job.folder
    return f"{name} ({' '.join(own)})"


def check_launcher(launcher: Mapping[str, Any]) -> None:
    """Check that a launcher can start jobs on this machine. Raises ConfigError."""
    if launcher.get("n_jobs") == 0:
        remedy = "give 1 or more, or -1 for one on each core"
        raise ConfigError("hydra.launcher.n_jobs", "0 starts no job", remedy)
    if str(launcher.get("_target_")).endswith("SlurmLauncher") and shutil.which("srun") is None:
        what = "there is no Slurm on this machine"
        raise ConfigError("hydra/launcher", what, "choose from basic, joblib, submitit_local")


def concurrent_jobs(launcher: Mapping[str, Any], jobs: int) -> int:
    """Return how many of ``jobs`` a launcher runs at once on this machine.

    submitit's local launcher starts all of them, joblib ``n_jobs`` (-1: one for each core); a cluster gives each job
    a machine, or a part of one, of its own.
    """
    if str(launcher.get("_target_")).endswith("submitit_launcher.LocalLauncher"):
        return jobs
    n_jobs = int(launcher.get("n_jobs", 1))
    return max(1, min(usable_cores() + 1 + n_jobs if n_jobs < 0 else n_jobs, jobs))


@contextmanager
def sweep_lock(sweep: SweepFolder) -> Iterator[None]:
    """Lock a sweep's folder, new or of an earlier attempt, so that two processes do not run the same sweep.

    Raises:
        ConfigError: When the folder holds anything else.
        OutputError: When another process has the lock, or the folder cannot be written.
    """
    if sweep.plan() is None:  # else it is a sweep's, which may go on
        ensure_empty(sweep.path)
    existed = sweep.path.exists()
    try:
        with sweep.lock():
            yield
    finally:
        if not existed and [path.name for path in sweep.path.glob("*")] == [LOCK]:
            shutil.rmtree(sweep.path, ignore_errors=True)  # a sweep refused before it began leaves no folder


def dry_run_report(plan: Plan, configs: Sequence[Config | None]) -> str:
    """Return a line for each job: its name, and its size and estimated time."""
    lines = [
        f"{job.folder:{MAX_NAME_LETTERS}}  {summary_line(config) if config else 'its data are not there'}"
        for job, config in zip(plan.jobs, configs, strict=True)
    ]
    return "\n".join([*lines, f"{len(lines)} jobs, nothing was started: train.dry_run=true"])


def write_hparams(sweep: SweepFolder, plan: Plan, configs: Sequence[Config | None]) -> None:
    """Write for TensorBoard's HPARAMS page which keys vary and which metrics there will be."""
    tags = {tag for config in configs if config for tag in expected_tags(config)}
    write_hparams_columns(sweep.path, [job.overrides for job in plan.jobs], order_tags(tags))


def print_job(sweep: SweepFolder, job: Job, plan: Plan, result: Mapping[str, Any]) -> None:
    """Print how a job ended: its table or its error, or of concurrent jobs a line with the time left for the sweep."""
    if result["status"] not in DONE:
        error = result.get("error", result["status"])
        print(f"gantrain: job {job.number}: {error}", file=sys.stderr, flush=True)
    if plan.at_once == 1:  # the terminal is this job's alone
        if result["status"] == "finished":
            print(end_table(result, sweep.run(job).path), flush=True)
        elif result["status"] == "pruned":
            print(f"job {job.number}: {result['error']}", flush=True)
        return
    results = [sweep.run(one).outcome() for one in plan.jobs]
    seconds = [float(one["seconds"]) for one in results if one.get("seconds")]
    remaining = sum(one["status"] == "missing" for one in results)
    message = f"{len(results) - remaining} of {len(results)} jobs: {job.folder} {result['status']}"
    if "seconds" in result:
        message += f", {result['seconds']:.0f} s"
    # Jobs of a sweep take about as long as each other.
    left = statistics.fmean(seconds) * remaining / plan.at_once if seconds else 0.0
    print(f"{message}; about {format_duration(left)} left" if left else message, flush=True)


def print_summary(sweep: SweepFolder, plan: Plan) -> None:
    """Print and write the sweep's tables, then report whether it is complete.

    Raises:
        Interrupted: After a signal.
        GantrainError: When a job failed or never ran.
    """
    results = [sweep.run(job).outcome() for job in plan.jobs]
    print(summarise(sweep.path, [sweep.run(job).path for job in plan.jobs]))
    not_done = sum(result["status"] not in DONE for result in results)
    resume = f"gantrain resume {quote(str(sweep.path))}"
    signals = read_signals(sweep)
    if signals:  # exit code 128 + the signal's number, as of a shell
        what = f"stopped by {signal.Signals(signals[0]).name} with {not_done} of {len(results)} jobs to go"
        raise Interrupted(sweep.path, what, f"go on with: {resume}", 128 + signals[0])
    if not_done:
        remedy = f"fix the cause, then run only these again with: {resume}"
        raise GantrainError(sweep.path, f"{not_done} of {len(results)} jobs failed", remedy)
