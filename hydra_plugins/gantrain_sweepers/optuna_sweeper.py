"""The sweeper behind ``gantrain sweep=optuna``: trials drawn by Optuna, in batches, each a job as in any sweep."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from gantrain.errors import ConfigError, DataError, GantrainError, suggest
from gantrain.registry import parse
from gantrain.sweeps.optuna.search import Search, library, settled
from gantrain.sweeps.optuna.space import Dimension, corners
from hydra_plugins.gantrain_sweepers.grid import GridSweeper

if TYPE_CHECKING:
    from gantrain.sweeps.optuna.study import Study
    from gantrain.sweeps.plan import Job


class OptunaSweeper(GridSweeper):
    """Checks the edge of the space, then draws, launches and tells trials until there are ``n_trials``."""

    def sweep(self, arguments: list[str]) -> Any:
        """Search the space that ``arguments`` and ``hydra.sweeper.params`` span.

        Raises:
            GantrainError: When the search cannot be as it is asked for, before any job is started; when a job failed,
                after all.
        """
        from omegaconf import OmegaConf

        from gantrain.sweeps.launch import owned, see_launcher
        from gantrain.sweeps.optuna.study import Study

        library()
        see_launcher(self.asked.launcher)
        plain = OmegaConf.to_container(self.asked.sweeper, resolve=True)
        search = settled(parse(Search, "hydra.sweeper", plain))  # type: ignore[arg-type]
        space, fixed = self.split(arguments)
        space = self.rehearse(search, space, fixed)
        with owned(self.folder):
            study = Study(self.folder, search, space, fixed)
            self.planned(study.jobs()).write(self.folder)  # from here on it can be resumed
            print("\n".join(["searching", *(f"  {dimension}" for dimension in space)]), flush=True)
            return self.search(study)

    def split(self, arguments: Sequence[str]) -> tuple[list[Dimension], list[str]]:
        """Return what is searched and the words that every trial has; a later word takes the place of an earlier."""
        parser = OverridesParser.create(config_loader=self.context.config_loader)
        parsed = parser.parse_overrides([*self._parse_config(), *arguments])
        last = {override.get_key_element(): override for override in parsed}
        space = [dimension(override) for override in last.values() if override.is_sweep_override()]
        fixed = [
            f"{key}={override.get_value_element_as_str()}"
            for key, override in last.items()
            if not override.is_sweep_override()
        ]
        if not space:
            remedy = "write KEY=interval(a,b), KEY=range(a,b) or KEY=choice(a,b)"
            raise ConfigError("sweep", "there is nothing to search", remedy)
        return space, fixed

    def rehearse(self, search: Search, space: Sequence[Dimension], fixed: Sequence[str]) -> list[Dimension]:
        """Check every end of the space and the metric, and return the space with whole numbers where keys are.

        Raises:
            ConfigError: Naming what no trial could be, or the tags that there are.
        """
        from omegaconf import OmegaConf

        from gantrain.sweeps.launch import check_all
        from gantrain.sweeps.optuna.pruning import see_metrics
        from gantrain.sweeps.plan import Job

        jobs = [Job("an end of the space", (*fixed, *words)) for words in corners(space)]
        configs = check_all(jobs, self.check)
        see_metrics(search.metrics, [config for config in configs if config is not None])
        composed = self.compose(jobs[0])  # where a key's value has the key's type
        return [d.of_kind(OmegaConf.select(composed, d.key.lstrip("+"))) for d in space]

    def search(self, study: Study) -> Any:
        """Run what is left of a study, batch by batch, and give the answer. Raises GantrainError."""
        from gantrain.sweeps.launch import answer
        from gantrain.sweeps.optuna.results import conclude, progress
        from gantrain.sweeps.stop import noted_signals, stoppable

        returned: list[Any] = []
        _say(study.settle())
        study.retry()
        left = study.open()
        with stoppable(study.folder) as stop:
            while not noted_signals(stop):
                size = self.batch(study)
                jobs, left = left[:size] or study.draw(size), left[size:]
                if not jobs:
                    break
                returned += self.launch(
                    study.folder, self.planned(study.jobs()), self.legal(study.folder, jobs)
                )
                _say(study.settle())
                print(progress(study), flush=True)
        self.planned(study.jobs()).write(study.folder)
        try:
            answer(study.folder, self.planned(study.jobs()))
        finally:
            print(conclude(study, self.asked.runtime.choices["metric"]), flush=True)
        return returned

    def batch(self, study: Study) -> int:
        """Return how many trials to launch at once."""
        from gantrain.sweeps.launch import side_by_side

        wanted = study.search.batch
        return wanted or side_by_side(self.asked.launcher, study.search.n_trials)

    def legal(self, folder: Path, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs that can be started; what others lack is written down as their result."""
        from gantrain.core.files import write_json

        kept = []
        for job in jobs:
            try:
                self.check(job)
            except DataError:
                kept.append(job)  # it says so itself, if the data are not there by its turn
            except GantrainError as error:
                print(f"gantrain: trial {job.number} cannot be run: {error}", file=sys.stderr)
                (folder / job.folder).mkdir(parents=True, exist_ok=True)
                fault = {"status": "failed", "error": str(error), "exit_code": error.exit_code}
                write_json(folder / job.folder / "result.json", fault)
            else:
                kept.append(job)
        return kept


def _say(lines: Sequence[str]) -> None:
    for line in lines:
        print(f"gantrain: {line}", file=sys.stderr)


def dimension(override: Override) -> Dimension:
    """Return what a word of Hydra's sweep syntax spans. Raises ConfigError for a tag that is not log."""
    key, value = override.get_key_element(), override.value()
    tags: set[str] = getattr(value, "tags", set()) - {"log"}
    if tags:
        raise ConfigError(key, f"has the tag {min(tags)!r}", suggest(min(tags), ["log"]))
    log = "log" in getattr(value, "tags", ())
    if isinstance(value, IntervalSweep):
        assert value.start is not None
        assert value.end is not None
        whole = isinstance(value.start, int) and isinstance(value.end, int)
        return Dimension(key, low=value.start, high=value.end, log=log, whole=whole)
    if isinstance(value, RangeSweep):
        numbers = list(value.range())
        whole = all(isinstance(number, int) for number in numbers)
        return Dimension(key, low=min(numbers), high=max(numbers), step=abs(value.step), log=log, whole=whole)
    if log:
        raise ConfigError(key, "has choices on a logarithmic scale", "write tag(log,interval(a,b))")
    words = tuple(dict.fromkeys(override.sweep_string_iterator()))
    if not words:
        raise ConfigError(key, "has no choices", "give KEY=choice(a,b)")
    return Dimension(key, words)
