"""The sweeper behind ``gantrain sweep=optuna``: trials sampled by Optuna in batches, each a job as in any sweep."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from gantrain.config.overrides import is_varied
from gantrain.core.files import MAX_PLAN_BYTES, read_json
from gantrain.core.suggestions import suggest
from gantrain.core.sweep_folder import SEARCH
from gantrain.errors import ConfigError, DataError, GantrainError
from gantrain.registry import parse
from gantrain.sweeps.optuna.search import Search, import_optuna, resolve_search
from gantrain.sweeps.optuna.space import Dimension, corners
from hydra_plugins.gantrain_sweepers.grid import GridSweeper

if TYPE_CHECKING:
    from gantrain.config.options import Config
    from gantrain.core.sweep_folder import Job
    from gantrain.sweeps.optuna.study import Study


class OptunaSweeper(GridSweeper):
    """Checks the corners of the space, then samples, launches and evaluates trials until there are ``n_trials``."""

    def sweep(self, arguments: list[str]) -> Any:
        """Search the space of the sweep overrides. Raises GantrainError for an invalid search, or a failed job."""
        from omegaconf import OmegaConf

        from gantrain.sweeps.launch import sweep_lock
        from gantrain.sweeps.optuna.study import Study

        import_optuna()  # reports at once that it is not installed
        plain: Any = OmegaConf.to_container(self.config.hydra.sweeper, resolve=True)
        # A search that is resumed keeps its directions, also those that would now have to be typed.
        record = read_json(self.folder.path / SEARCH, most=MAX_PLAN_BYTES)
        if plain["direction"] is None and record.get("metric") in (plain["metric"], [plain["metric"]]):
            plain["direction"] = record.get("direction")
        search = resolve_search(parse(Search, "hydra.sweeper", plain))
        space, fixed = self.split(arguments)
        space = self.check_space(search, space, fixed)
        with sweep_lock(self.folder):
            study = Study(self.folder, search, space, fixed)
            self.folder.write(self.plan(study.jobs()))  # from here on it can be resumed
            print("\n".join(["searching", *(f"  {dimension}" for dimension in space)]), flush=True)
            return self.search(study)

    def split(self, arguments: Sequence[str]) -> tuple[list[Dimension], list[str]]:
        """Return the space, and the overrides that every trial has; of one key the last override counts."""
        last = {override.get_key_element(): override for override in self.parse(arguments)}
        space = [parse_dimension(override) for override in last.values() if is_varied(override)]
        fixed = [
            job
            for one in last.values()
            if not is_varied(one)
            for job in self.split_arguments([one], None)[0][0]
        ]
        if not space:
            remedy = "write KEY=interval(a,b), KEY=range(a,b) or KEY=choice(a,b)"
            raise ConfigError("sweep", "there is nothing to search", remedy)
        return space, fixed

    def check_space(
        self, search: Search, space: Sequence[Dimension], fixed: Sequence[str]
    ) -> list[Dimension]:
        """Check corners and metrics, and return the space with integers for integer keys. Raises ConfigError."""
        from omegaconf import OmegaConf

        from gantrain.core.sweep_folder import Job
        from gantrain.sweeps.launch import check_all
        from gantrain.sweeps.optuna.pruning import check_metrics

        jobs = [Job("a corner of the space", (*fixed, *overrides)) for overrides in corners(space)]
        configs = check_all(jobs, self.check)
        check_metrics(search.metrics, [config for config in configs if config is not None])
        composed = self.compose(jobs[0])  # here a key's value has the key's type
        return [d.with_type_of(OmegaConf.select(composed, d.key.lstrip("+"))) for d in space]

    def search(self, study: Study) -> Any:
        """Run what is left of a study, batch by batch, and print the results. Raises GantrainError."""
        from gantrain.sweeps.launch import print_summary
        from gantrain.sweeps.launchers import concurrent_jobs, connection, warn_of_many
        from gantrain.sweeps.optuna.results import progress_line, write_results
        from gantrain.sweeps.stop import forward_signals

        launcher, trials = self.config.hydra.launcher, study.search.n_trials
        warn_of_many(launcher, trials)
        returned: list[Any] = []
        # First what an earlier attempt left: results that were not reported, failed trials, interrupted ones.
        _print_warnings(study.tell_results())
        study.enqueue_failed()
        unfinished = study.unfinished_jobs()
        with connection(launcher), forward_signals(self.folder, self.starts_processes):
            size = study.search.batch or concurrent_jobs(launcher, trials)
            while not self.folder.signals():
                jobs, unfinished = unfinished[:size] or study.ask(size), unfinished[size:]
                if not jobs:
                    break
                checked = [(job, self.checked(job)) for job in jobs]
                valid = [(job, config) for job, config in checked if config is not False]
                groups = self.group([job for job, _ in valid], [config for _, config in valid])
                returned += self.launch(self.plan(study.jobs()), groups)
                _print_warnings(study.tell_results())
                print(progress_line(study), flush=True)
        plan = self.plan(study.jobs())
        self.folder.write(plan)
        try:
            print_summary(self.folder, plan)
        finally:
            print(write_results(study, self.config.hydra.runtime.choices["metric"]), flush=True)
        return returned

    def checked(self, job: Job) -> Config | Literal[False] | None:
        """Return a trial's config, None while its data are absent; False if it is invalid, which is then its result."""
        from gantrain.sweeps.outcomes import record_error

        try:
            config: Config = self.check(job)
        except DataError:
            return None  # the data may be there by its turn; else the job reports it itself
        except GantrainError as error:
            print(f"gantrain: trial {job.number} cannot be run: {error}", file=sys.stderr)
            record_error(self.folder.run(job), error)
            return False
        return config


def _print_warnings(lines: Sequence[str]) -> None:
    for line in lines:
        print(f"gantrain: {line}", file=sys.stderr)


def parse_dimension(override: Override) -> Dimension:
    """Return the dimension that a sweep override of Hydra's spans. Raises ConfigError for a tag other than log."""
    key, value = override.get_key_element(), override.value()
    tags: set[str] = getattr(value, "tags", set())
    log = "log" in tags
    if others := tags - {"log"}:
        raise ConfigError(key, f"has the tag {min(others)!r}", suggest(min(others), ["log"]))
    if isinstance(value, IntervalSweep):
        assert value.start is not None
        assert value.end is not None
        whole = isinstance(value.start, int) and isinstance(value.end, int)
        return Dimension(key, low=value.start, high=value.end, log=log, whole=whole)
    if isinstance(value, RangeSweep):
        numbers = list(value.range())  # the last one, not the end of the range, is the largest value
        whole = all(isinstance(number, int) for number in numbers)
        return Dimension(key, low=min(numbers), high=max(numbers), step=abs(value.step), log=log, whole=whole)
    if log:
        raise ConfigError(key, "has choices on a logarithmic scale", "write tag(log,interval(a,b))")
    choices = tuple(dict.fromkeys(override.sweep_string_iterator()))
    if not choices:
        raise ConfigError(key, "has no choices", "give KEY=choice(a,b)")
    return Dimension(key, choices)
