"""The trials of a search: sampled by Optuna, run as jobs of a sweep, their results reported to Optuna's storage."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gantrain.config.resume import RESUMABLE_KEYS
from gantrain.core.files import read_json, write_json
from gantrain.core.run_folder import ensure_empty
from gantrain.core.sweep_folder import Job, SweepFolder
from gantrain.errors import CheckpointError, ConfigError
from gantrain.sweeps.optuna.search import Search, import_optuna, sampler
from gantrain.sweeps.optuna.space import Dimension
from gantrain.sweeps.plan import job_name

SEARCH, JOURNAL = "optuna.json", "optuna.journal"
SQLITE = "sqlite:///"
# Overrides that may differ between two attempts at one search: where and how its runs work. A run's length may not,
# since the study compares trials by their last step.
MAY_DIFFER = (
    "run.",
    "hydra",
    "device=",
    *(f"{key}=" for key in RESUMABLE_KEYS if not key.startswith(("train.", "optimizer."))),
)


class Study:
    """A search in a sweep's folder, new or continued, with the overrides ``fixed`` for all trials.

    Raises:
        ConfigError: When the folder holds anything else, or the storage cannot be used.
        CheckpointError: When the folder's trials are no longer in the storage.
    """

    def __init__(self, sweep: SweepFolder, search: Search, space: Sequence[Dimension], fixed: Sequence[str]):
        self.sweep, self.search, self.space, self.fixed = sweep, search, tuple(space), tuple(fixed)
        folder = sweep.path
        record = _merge_record(folder, study_record(search, space, fixed))
        sampler(search, 0)  # a missing library is reported before anything is written
        plan = sweep.plan()
        self._folders = {int(job.number): job.folder for job in plan.jobs} if plan else {}
        folder.mkdir(parents=True, exist_ok=True)  # Optuna creates the journal, but not its folder
        self.optuna = load_study(folder, record)
        sweep.stop_file.unlink(missing_ok=True)
        write_json(folder / SEARCH, record)
        # Trials and folders are matched by number: with fewer trials, new ones would take old folders.
        if len(self.trials) <= max(self._folders, default=-1):
            what = f"no longer holds the trials of {folder}"
            raise CheckpointError(record["url"] or folder / JOURNAL, what, "restore it, or search anew")

    @property
    def trials(self) -> list[Any]:
        """All trials that Optuna has, by number."""
        return list(self.optuna.get_trials(deepcopy=False))

    @property
    def live(self) -> list[Any]:
        """The trials that count towards ``n_trials``: not those that failed and were enqueued under a new number."""
        trials = self.trials
        replaced = {trial.user_attrs["again"] for trial in trials if "again" in trial.user_attrs}
        return [t for t in trials if t.number not in replaced and t.state.name != "WAITING"]

    @property
    def complete(self) -> list[Any]:
        """The trials that gave a value of each metric."""
        return [trial for trial in self.trials if trial.state.name == "COMPLETE"]

    def best_trials(self) -> list[Any]:
        """Return the best trial, the first of equal ones; of several metrics the trials that no other beats in all."""
        best = self.optuna.best_trials
        return list(best if len(self.search.metrics) > 1 else best[:1])

    @property
    def sign(self) -> int:
        """1 where lower is better for the first metric, else -1."""
        return 1 if self.search.directions[0] == "minimize" else -1

    def jobs(self) -> tuple[Job, ...]:
        """Return a job for each trial that counts; its number is the trial's."""
        return tuple(self.job(trial) for trial in self.live)

    def job(self, trial: Any) -> Job:
        """Return a trial's job, in the folder that it had in an earlier attempt."""
        sampled = [f"{d.key}={d.format(trial.params[d.key])}" for d in self.space]
        keys = [d.key.lstrip("+") for d in self.space]
        width = max(2, len(str(self.search.n_trials - 1)))
        overrides = (*self.fixed, *sampled)
        # A larger n_trials may need more leading zeros, but a folder keeps its name.
        name = self._folders.setdefault(trial.number, job_name(trial.number, width, overrides, keys))
        return Job(name, overrides)

    def unfinished_jobs(self) -> list[Job]:
        """Return the jobs of trials that were sampled and have not ended."""
        return [self.job(trial) for trial in self.live if trial.state.name == "RUNNING"]

    def ask(self, count: int) -> list[Job]:
        """Sample ``count`` trials, or as many as are left of ``n_trials``, and return their jobs."""
        space = {dimension.key: dimension.distribution() for dimension in self.space}
        numbers = []
        for _ in range(min(count, self.search.n_trials - len(self.live))):
            self.optuna.sampler = sampler(self.search, len(self.trials))  # a new one, seeded for this trial
            numbers.append(self.optuna.ask(space).number)
        trials = self.trials
        return [self.job(trials[number]) for number in numbers]

    def enqueue_failed(self) -> None:
        """Enqueue the values of failed trials again, unless they diverged or their config is invalid."""
        queued = {trial.user_attrs.get("again") for trial in self.trials}
        for trial in self.live:
            result = self.sweep.run(self.job(trial)).outcome()
            may_succeed = result["status"] == "failed" and result.get("exit_code") != ConfigError.exit_code
            if trial.state.name == "FAIL" and may_succeed and trial.number not in queued:
                self.optuna.enqueue_trial(trial.params, user_attrs={"again": trial.number})

    def tell_results(self) -> list[str]:
        """Report the result of every job that has ended to Optuna; return a line for each without a finite value."""
        from optuna.trial import TrialState

        lines = []
        for job, trial in [(self.job(t), t) for t in self.live if t.state == TrialState.RUNNING]:
            result = self.sweep.run(job).outcome()
            # An interrupted or killed job has not ended: a later attempt continues it as the same trial.
            values = [metric_value(result.get("metrics", {}), tag) for tag in self.search.metrics]
            if result["status"] == "pruned":
                self.optuna.tell(trial.number, state=TrialState.PRUNED)
            elif result["status"] == "finished" and all(map(math.isfinite, values)):
                self.optuna.tell(trial.number, values)
            elif result["status"] in ("finished", "diverged", "failed"):
                self.optuna.tell(trial.number, state=TrialState.FAIL)
                if result["status"] == "finished":
                    pairs = zip(self.search.metrics, values, strict=True)
                    tags = ", ".join(tag for tag, value in pairs if not math.isfinite(value))
                    lines.append(f"trial {job.number} counts as failed: it has no finite {tags}")
        return lines


def metric_value(metrics: Mapping[str, Any], tag: str) -> float:
    """Return a metric's value; NaN if it is missing or no number."""
    value = metrics.get(tag)
    return float(value) if isinstance(value, int | float) else math.nan


def study_record(search: Search, space: Sequence[Dimension], fixed: Sequence[str]) -> dict[str, Any]:
    """Return the content of ``optuna.json``: what identifies a search, and what its jobs need for pruning."""
    return {
        "metric": search.metrics,
        "direction": search.directions,
        "space": [asdict(dimension) | {"choices": list(dimension.choices)} for dimension in space],
        "fixed": sorted(word for word in fixed if not word.startswith(MAY_DIFFER)),
        "storage": search.storage,
        "url": _absolute_url(search.storage),
        "study": "gantrain",
        "pruner": search.pruner,
        "startup_trials": search.startup_trials,
        "warmup": search.warmup,
    }


def _absolute_url(url: str | None) -> str | None:
    """Return a URL that does not depend on the working directory."""
    if url is None or not url.startswith(SQLITE):
        return url
    path = url.removeprefix(SQLITE)
    if path in ("", ":memory:"):
        what = f"{url} is kept in memory, where the jobs cannot reach it"
        raise ConfigError("hydra.sweeper.storage", what, "name a file, as in sqlite:///study.db")
    return f"{SQLITE}{Path(path).expanduser().absolute()}"


def _merge_record(folder: Path, now: dict[str, Any]) -> dict[str, Any]:
    """Return the record ``now`` with the storage of an earlier attempt. Raises ConfigError for another search."""
    before = read_json(folder / SEARCH)
    if not before:
        ensure_empty(folder)
        if now["url"]:  # one database may hold many searches
            now["study"] = str(folder.absolute())
    else:
        # n_trials, sampler and pruner may change: values stay comparable.
        same = ("metric", "direction", "space", "storage")
        differ = [key for key in same if before.get(key) != now[key]]
        differ += sorted(set(before.get("fixed", ())) ^ set(now["fixed"]))
        if differ:
            what = f"{folder} holds a search with another {', '.join(differ)}"
            raise ConfigError("run.dir", what, "choose another folder")
        now |= {key: before[key] for key in ("url", "study")}
    return now


def load_study(folder: Path, record: Mapping[str, Any], pruner: Any = None) -> Any:
    """Load Optuna's study of a sweep's folder by its ``optuna.json``, or create it. Raises ConfigError."""
    optuna = import_optuna()
    try:
        return optuna.create_study(
            storage=_storage(record["url"], folder),
            study_name=record["study"],
            directions=record["direction"],
            pruner=pruner,
            load_if_exists=True,
        )
    except Exception as error:  # each database driver has its own exceptions
        what = f"{record['storage'] or folder / JOURNAL} cannot be used ({' '.join(str(error).split())})"
        remedy = "give an Optuna URL such as sqlite:///study.db, or leave it out"
        raise ConfigError("hydra.sweeper.storage", what, remedy) from error


def _storage(url: str | None, folder: Path) -> Any:
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    if url is None:
        return JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
    # SQLite locks the whole file for a write: jobs that report at the same moment wait up to 60 s for each other.
    engine = {"connect_args": {"timeout": 60}} if url.startswith(SQLITE) else None
    return RDBStorage(url, engine_kwargs=engine)
