"""The start and the end of a sweep: check every job, lock the folder, print the results."""

import shutil
import signal
import statistics
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from shlex import quote
from typing import Any, TypeVar

from tqdm import tqdm

from gantrain.config.options import Config
from gantrain.core.folder_lock import LOCK
from gantrain.core.new_folder import ensure_empty
from gantrain.core.run_folder import DONE
from gantrain.core.streams import redraws_lines, warn
from gantrain.core.sweep_folder import Job, Plan, SweepFolder
from gantrain.core.text import count, format_duration
from gantrain.errors import ConfigError, DataError, GantrainError, Interrupted
from gantrain.reports.end_table import end_table
from gantrain.reports.ranking import order_tags
from gantrain.reports.summary import summarise
from gantrain.sweeps.plan import MAX_NAME_LETTERS
from gantrain.training.dry_run.report import summary_line
from gantrain.training.evaluate import expected_tags

T = TypeVar("T")
MIN_JOBS_FOR_BAR = 20  # checking fewer takes about a second
MAX_ERROR_LINES = 10
POLL_SECONDS = 0.5


def check_all(jobs: Sequence[Job], check: Callable[[Job], T]) -> list[T | None]:
    """Return the result of ``check``, which composes a job, for each; None for a job whose data are absent so far.

    Raises:
        ConfigError: For the first invalid job; the other invalid ones are printed to stderr before.
        DataError: When no job has its data.
    """
    checked: list[T | None] = []
    errors: list[tuple[str, GantrainError]] = []
    no_bar = len(jobs) <= MIN_JOBS_FOR_BAR or not redraws_lines(sys.stderr)
    for job in tqdm(jobs, desc="checking", unit="job", leave=False, disable=no_bar):
        try:
            checked.append(check(job))
        except GantrainError as error:
            checked.append(None)
            errors.append((_title(job, jobs), error))
    # Absent data may arrive before the job's turn; no other error goes away by itself.
    invalid = [(title, error) for title, error in errors if not isinstance(error, DataError)]
    if invalid:
        (title, first), *others = invalid
        lines = [f"{title}: {error}" for title, error in others[: MAX_ERROR_LINES - 1]]
        warn(
            *lines,
            *[f"and {len(invalid) - MAX_ERROR_LINES} more invalid jobs"] * (len(invalid) > MAX_ERROR_LINES),
        )
        raise ConfigError(f"nothing was started: {title}", f"{first.where}: {first.what}", first.remedy)
    if len(errors) == len(jobs):  # all data are absent
        raise errors[0][1]
    warn(*(f"{title} will fail unless fixed before its turn: {error}" for title, error in errors))
    return checked


def warn_of_repeats(jobs: Sequence[Job], configs: Sequence[Config | None]) -> None:
    """Print a line for each job whose config is that of an earlier one."""
    first: dict[str, Job] = {}
    for job, config in zip(jobs, configs, strict=True):
        plain = config.plain() if config else {"job": job.number}
        earlier = first.setdefault(repr([plain[key] for key in plain if key not in ("name", "run")]), job)
        if earlier is not job:
            warn(f"{_title(job, jobs)} is the same run as {_title(earlier, jobs)}; leave one of them out")


def _title(job: Job, jobs: Sequence[Job]) -> str:
    """Return a job's number, or else its name, and those of its overrides that not all jobs share."""
    shared = set(jobs[0].overrides).intersection(*(other.overrides for other in jobs))
    own = [word for word in job.overrides if word not in shared] or job.overrides
    name = f"job #{job.number}" if job.number.isdigit() else job.folder
    return f"{name} ({' '.join(own)})"


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
    """Return a line for each job: its name, its size and its estimated time."""
    texts = [summary_line(config) if config else "its data are not there" for config in configs]
    lines = [f"{job.folder:{MAX_NAME_LETTERS}}  {text}" for job, text in zip(plan.jobs, texts, strict=True)]
    return "\n".join([*lines, f"{count(len(lines), 'job')}, nothing was started: train.dry_run=true"])


def metric_tags(configs: Sequence[Config | None]) -> tuple[str, ...]:
    """Return the tags of the metrics that jobs will compute, the most important first."""
    return tuple(order_tags({tag for config in configs if config for tag in expected_tags(config)}))


@contextmanager
def follow_jobs(sweep: SweepFolder, plan: Plan, jobs: Sequence[Job]) -> Iterator[None]:
    """Print how each job ends, from a thread: for a launcher whose processes do not write to this terminal."""
    is_over, shown = threading.Event(), dict[str, Any]()

    def print_new() -> None:
        for job in jobs:
            result = sweep.run(job).outcome()
            if result["status"] != "missing" and shown.get(job.folder) != result:
                shown[job.folder] = result  # of a job that is requeued there are several
                print_progress(sweep, job, plan, result)

    def follow() -> None:
        while not is_over.wait(POLL_SECONDS):
            print_new()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        print_new()


def print_job(sweep: SweepFolder, job: Job, result: Mapping[str, Any]) -> None:
    """Print the table or the error of a job that had the terminal for itself."""
    status = result["status"]
    if status not in DONE:
        warn(f"job {job.number}: {result.get('error', status)}")
    if status == "finished":
        print(end_table(result, sweep.run(job).path), flush=True)
    elif status == "pruned":
        print(f"job {job.number}: {result['error']}", flush=True)


def print_progress(sweep: SweepFolder, job: Job, plan: Plan, result: Mapping[str, Any]) -> None:
    """Print a line for one of several jobs at once, with the time left for the sweep, and its error."""
    status = result["status"]
    if status not in DONE:
        warn(f"job {job.number}: {result.get('error', status)}")
    results = [sweep.run(one).outcome() for one in plan.jobs]
    seconds = [float(one["seconds"]) for one in results if one.get("seconds")]
    remaining = sum(one["status"] == "missing" for one in results)
    message = f"{len(results) - remaining} of {len(results)} jobs: {job.folder} {status}"
    if "seconds" in result:
        message += f", {result['seconds']:.0f} s"
    # Jobs of a sweep take about as long as each other; how many a queue lets run is unknown.
    side_by_side = plan.at_once * max(map(len, plan.groups), default=1)
    left = statistics.fmean(seconds) * remaining / side_by_side if seconds and side_by_side > 1 else 0.0
    print(f"{message}; about {format_duration(left)} left" if left else message, flush=True)


def print_summary(sweep: SweepFolder, plan: Plan) -> None:
    """Print and write a sweep's tables. Raises Interrupted after a signal, GantrainError unless all jobs are done."""
    results = [sweep.run(job).outcome() for job in plan.jobs]
    print(summarise(sweep.path, [sweep.run(job).path for job in plan.jobs]))
    not_done = sum(result["status"] not in DONE for result in results)
    resume = f"gantrain resume {quote(str(sweep.path))}"
    signals = sweep.signals()
    if signals:  # exit code 128 + the signal's number, as of a shell
        what = f"stopped by {signal.Signals(signals[0]).name} with {not_done} of {len(results)} jobs to go"
        raise Interrupted(sweep.path, what, f"go on with: {resume}", 128 + signals[0])
    if not_done:
        remedy = f"fix the cause, then run only these again with: {resume}"
        raise GantrainError(sweep.path, f"{not_done} of {len(results)} jobs failed", remedy)
