"""The trials of a search: kept in Optuna's storage, each a job of a sweep, told of what became of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gantrain.core.files import ensure_empty, write_json
from gantrain.errors import CheckpointError, ConfigError
from gantrain.reports.run_folder import read_json
from gantrain.sweeps.optuna.search import Search, library, sampler
from gantrain.sweeps.optuna.space import Dimension
from gantrain.sweeps.plan import MAY_CHANGE, Job, numbered, read_plan, result_of
from gantrain.sweeps.stop import STOP

SEARCH, JOURNAL = "optuna.json", "optuna.journal"
SQLITE = "sqlite:///"
# What may differ between two attempts at one search: it says where and how its runs work, not what they are.
ASIDE = (
    "run.",
    "hydra",
    "device=",
    *(f"{key}=" for key in MAY_CHANGE if not key.startswith(("train.", "optimizer."))),
)


class Study:
    """A search under way in a sweep's folder.

    Args:
        folder: The sweep's.
        search: What is improved and how.
        space: What is searched.
        fixed: The words that all trials share.

    Raises:
        ConfigError: When the folder holds anything else, or the storage cannot be used.
        CheckpointError: When the folder's trials are no longer in the storage.
    """

    def __init__(self, folder: Path, search: Search, space: Sequence[Dimension], fixed: Sequence[str]):
        self.folder, self.search, self.space, self.fixed = folder, search, tuple(space), tuple(fixed)
        record = _record(folder, described(search, space, fixed))
        sampler(search, 0)
        plan = read_plan(folder)
        self._folders = {int(job.number): job.folder for job in plan.jobs} if plan else {}
        if not record["url"]:
            folder.mkdir(parents=True, exist_ok=True)
        self.optuna = loaded(folder, record)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / STOP).unlink(missing_ok=True)
        write_json(folder / SEARCH, record)
        if len(self.trials) <= max(self._folders, default=-1):
            what = f"no longer holds the trials of {folder}"
            raise CheckpointError(record["url"] or folder / JOURNAL, what, "restore it, or search anew")

    @property
    def trials(self) -> list[Any]:
        """Every trial as Optuna has it, by number."""
        return list(self.optuna.get_trials(deepcopy=False))

    @property
    def live(self) -> list[Any]:
        """The trials that count: not those that failed and were drawn again under another number."""
        trials = self.trials
        gone = {trial.user_attrs["again"] for trial in trials if "again" in trial.user_attrs}
        return [t for t in trials if t.number not in gone and t.state.name != "WAITING"]

    def jobs(self) -> tuple[Job, ...]:
        """Return a job for each trial that counts; its number is the trial's."""
        return tuple(self.job(trial) for trial in self.live)

    def job(self, trial: Any) -> Job:
        """Return a trial's job, in the folder that it had in an earlier attempt."""
        words = [f"{dimension.key}={dimension.word(trial.params[dimension.key])}" for dimension in self.space]
        keys = [dimension.key.lstrip("+") for dimension in self.space]
        width = max(2, len(str(self.search.n_trials - 1)))
        made = numbered(trial.number, width, [*self.fixed, *words], keys)
        return Job(self._folders.setdefault(trial.number, made.folder), made.overrides)

    def open(self) -> list[Job]:
        """Return the jobs of trials that were drawn and have not ended."""
        return [self.job(trial) for trial in self.live if trial.state.name == "RUNNING"]

    def draw(self, count: int) -> list[Job]:
        """Draw so many trials, as far as there are any to come."""
        space = {dimension.key: dimension.distribution() for dimension in self.space}
        drawn = []
        for _ in range(min(count, self.search.n_trials - len(self.live))):
            self.optuna.sampler = sampler(self.search, len(self.trials))
            drawn.append(self.optuna.ask(space).number)
        trials = self.trials
        return [self.job(trials[number]) for number in drawn]

    def retry(self) -> None:
        """Have trials drawn again whose job failed for a reason that may be gone: not its numbers, nor its config."""
        queued = {trial.user_attrs.get("again") for trial in self.trials}
        for trial in self.live:
            result = result_of(self.folder / self.job(trial).folder)
            hopeful = result["status"] == "failed" and result.get("exit_code") != ConfigError.exit_code
            if trial.state.name == "FAIL" and hopeful and trial.number not in queued:
                self.optuna.enqueue_trial(trial.params, user_attrs={"again": trial.number})

    def settle(self) -> list[str]:
        """Tell the study of every job that has ended, and return a line for each that gave no number.

        A job that was stopped or killed has not ended: it goes on, as the same trial, in a later attempt.
        """
        from optuna.trial import TrialState

        lines = []
        for trial in self.live:
            if trial.state != TrialState.RUNNING:
                continue
            job = self.job(trial)
            result = result_of(self.folder / job.folder)
            if result["status"] == "pruned":
                self.optuna.tell(trial.number, state=TrialState.PRUNED)
            elif result["status"] == "finished":
                values = [number_in(result.get("metrics", {}), tag) for tag in self.search.metrics]
                if all(map(math.isfinite, values)):
                    self.optuna.tell(trial.number, values)
                    continue
                self.optuna.tell(trial.number, state=TrialState.FAIL)
                told = zip(self.search.metrics, values, strict=True)
                odd = ", ".join(tag for tag, value in told if not math.isfinite(value))
                lines.append(f"trial {job.number} counts as failed: it gives no finite {odd}")
            elif result["status"] in ("diverged", "failed"):
                self.optuna.tell(trial.number, state=TrialState.FAIL)
        return lines

    @property
    def sign(self) -> int:
        """1 where less of the first metric is better, else -1."""
        return 1 if self.search.directions[0] == "minimize" else -1

    def best(self) -> list[Any]:
        """Return the best trial, or with several metrics those that no other beats in all of them."""
        complete = [trial for trial in self.live if trial.state.name == "COMPLETE"]
        signs = [1 if direction == "minimize" else -1 for direction in self.search.directions]
        costs = {
            t.number: [sign * value for sign, value in zip(signs, t.values, strict=True)] for t in complete
        }
        if len(signs) == 1:
            return sorted(complete, key=lambda trial: costs[trial.number])[:1]
        return [t for t in complete if not any(beats(costs[o.number], costs[t.number]) for o in complete)]


def beats(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether costs are nowhere above others and somewhere below them."""
    pairs = list(zip(one, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def number_in(metrics: Mapping[str, Any], tag: str) -> float:
    """Return a metric, NaN where it is none."""
    value = metrics.get(tag)
    return float(value) if isinstance(value, int | float) else math.nan


def described(search: Search, space: Sequence[Dimension], fixed: Sequence[str]) -> dict[str, Any]:
    """Return what makes a search this one, as plain data, with how its jobs are to judge themselves."""
    return {
        "metric": search.metrics,
        "direction": search.directions,
        "space": [asdict(dimension) | {"choices": list(dimension.choices)} for dimension in space],
        "fixed": sorted(word for word in fixed if not word.startswith(ASIDE)),
        "storage": search.storage,
        "url": _absolute(search.storage),
        "study": "gantrain",
        "pruner": search.pruner,
        "startup_trials": search.startup_trials,
        "warmup": search.warmup,
    }


def _absolute(url: str | None) -> str | None:
    """Return a URL that is right from any working directory."""
    if url is None or not url.startswith(SQLITE):
        return url
    path = url.removeprefix(SQLITE)
    if path in ("", ":memory:"):
        what = f"{url} is kept in memory, where the jobs cannot reach it"
        raise ConfigError("hydra.sweeper.storage", what, "name a file, as in sqlite:///study.db")
    return f"{SQLITE}{Path(path).expanduser().absolute()}"


def _record(folder: Path, now: dict[str, Any]) -> dict[str, Any]:
    """Return what the jobs of a search are to read, in a folder that is free or holds the same search."""
    before = read_json(folder / SEARCH)
    if not before:
        ensure_empty(folder)
        if now["url"]:  # one storage may keep many searches
            now["study"] = str(folder.absolute())
    else:
        same = ("metric", "direction", "space", "storage")
        differ = [key for key in same if before.get(key) != now[key]]
        differ += sorted(set(before.get("fixed", ())) ^ set(now["fixed"]))
        if differ:
            what = f"{folder} holds a search with another {', '.join(differ)}"
            raise ConfigError("run.dir", what, "choose another folder")
        now |= {key: before[key] for key in ("url", "study")}
    return now


def loaded(folder: Path, record: Mapping[str, Any], pruner: Any = None) -> Any:
    """Return Optuna's study of a sweep's folder, made where it is not there yet.

    Args:
        folder: The sweep's.
        record: What its ``optuna.json`` holds.
        pruner: Optuna's, for a process that asks it.

    Raises:
        ConfigError: When the storage cannot be used.
    """
    optuna = library()
    try:
        return optuna.create_study(
            storage=_storage(record["url"], folder),
            study_name=record["study"],
            directions=record["direction"],
            pruner=pruner,
            load_if_exists=True,
        )
    except Exception as error:  # each database has errors of its own
        what = f"{record['storage'] or folder / JOURNAL} cannot be used ({' '.join(str(error).split())})"
        remedy = "give an Optuna URL such as sqlite:///study.db, or leave it out"
        raise ConfigError("hydra.sweeper.storage", what, remedy) from error


def _storage(url: str | None, folder: Path) -> Any:
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    if url is None:
        return JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
    # Jobs that report at the same moment wait for each other.
    patient = {"connect_args": {"timeout": 60}} if url.startswith(SQLITE) else None
    return RDBStorage(url, engine_kwargs=patient)
