"""The trials of a search: sampled by Optuna, run as jobs of a sweep, their results reported to Optuna's storage."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gantrain.core.files import write_json
from gantrain.core.sweep_folder import SEARCH, Job, SweepFolder
from gantrain.errors import CheckpointError, ConfigError
from gantrain.sweeps.optuna.search import Search, sampler
from gantrain.sweeps.optuna.space import Dimension
from gantrain.sweeps.optuna.storage import JOURNAL, load_study, merge_record, study_record
from gantrain.sweeps.plan import job_name


class Study:
    """A search in a sweep's folder, new or continued, with the overrides ``fixed`` for all trials.

    Raises:
        ConfigError: When the folder holds anything else, or the storage cannot be used.
        CheckpointError: When the folder's trials are no longer in the storage.
    """

    def __init__(self, sweep: SweepFolder, search: Search, space: Sequence[Dimension], fixed: Sequence[str]):
        self.sweep, self.search, self.space, self.fixed = sweep, search, tuple(space), tuple(fixed)
        folder = sweep.path
        record = merge_record(folder, study_record(search, space, fixed))
        sampler(search, 0)  # a missing library is reported before anything is written
        plan = sweep.plan()
        self._folders = {int(job.number): job.folder for job in plan.jobs} if plan else {}
        folder.mkdir(parents=True, exist_ok=True)  # Optuna creates the journal, but not its folder
        # The sweep's own lock is held: Optuna would wait for one that a killed process left, or a stranger made.
        (folder / f"{JOURNAL}.lock").unlink(missing_ok=True)
        self.optuna = load_study(folder, record)
        sweep.stop_file.unlink(missing_ok=True)
        write_json(folder / SEARCH, record)
        self._check_trials(record["url"] or folder / JOURNAL)
        # Trials and folders are matched by number: with fewer trials, new ones would take old folders.
        if len(self.trials) <= max(self._folders, default=-1):
            what = f"no longer holds the trials of {folder}"
            raise CheckpointError(record["url"] or folder / JOURNAL, what, "restore it, or search anew")

    def _check_trials(self, where: object) -> None:
        """Check that the trials are of this search, since their values become overrides. Raises CheckpointError."""
        if [direction.name.lower() for direction in self.optuna.directions] != self.search.directions:
            raise CheckpointError(where, "holds another search", "restore it, or search anew elsewhere")
        for trial in self.trials:
            if not self._is_own(trial):
                what = f"trial {trial.number} is not of this search"
                raise CheckpointError(where, what, "restore it, or search anew elsewhere")

    def _is_own(self, trial: Any) -> bool:
        """Whether a trial has a value of the space for each key, and if complete a number for each metric."""
        params = trial.params or trial.system_attrs.get("fixed_params", {})  # the latter while it waits
        dimensions = {dimension.key: dimension for dimension in self.space}
        if not all(key in dimensions and dimensions[key].holds(value) for key, value in params.items()):
            return False
        if len(params) < len(dimensions):  # its process was killed while it was sampled
            return bool(trial.state.name in ("RUNNING", "WAITING"))
        values = trial.values or []
        is_told = trial.state.name != "COMPLETE" or len(values) == len(self.search.metrics)
        return (
            is_told and all(map(math.isfinite, values)) and isinstance(trial.user_attrs.get("again", 0), int)
        )

    @property
    def trials(self) -> list[Any]:
        """All trials that Optuna has, by number."""
        return list(self.optuna.get_trials(deepcopy=False))

    @property
    def live(self) -> list[Any]:
        """The trials that count towards ``n_trials``: not those that failed and were enqueued under a new number.

        Nor those whose process was killed while it sampled them.
        """
        trials = self.trials
        replaced = {trial.user_attrs["again"] for trial in trials if "again" in trial.user_attrs}
        counted = [t for t in trials if t.number not in replaced and t.state.name != "WAITING"]
        return [trial for trial in counted if len(trial.params) == len(self.space)]

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
