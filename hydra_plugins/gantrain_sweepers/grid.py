"""The sweeper behind ``gantrain -m``: every combination, of which only what is missing or failed is run."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from gantrain.sweeps.plan import Job, Plan


class GridSweeper(BasicSweeper):
    """Composes and checks all jobs, writes the plan down, launches what is left of it, and gives the answer."""

    def __init__(self, params: dict[str, str] | None = None, **_: Any):
        super().__init__(max_batch_size=None, params=params)

    def sweep(self, arguments: list[str]) -> Any:
        """Run every combination of the values in ``arguments`` and in ``hydra.sweeper.params``.

        Raises:
            GantrainError: When a job is wrong, before any is started; when one failed, after all.
        """
        from gantrain.sweeps.plan import named

        parser = OverridesParser.create(config_loader=self.context.config_loader)
        parsed = parser.parse_overrides([*self._parse_config(), *arguments])
        varied = [override.get_key_element() for override in parsed if override.is_sweep_override()]
        combinations = [job for batch in self.split_arguments(parsed, None) for job in batch]
        return self.run(self.planned(named(combinations, varied)))

    def planned(self, jobs: tuple[Job, ...]) -> Plan:
        """Return the plan of these jobs by the command that is being run."""
        from gantrain.sweeps.plan import Plan

        return Plan(shlex.join(["gantrain", *sys.argv[1:]]), tuple(sys.argv[1:]), jobs)

    @property
    def context(self) -> Any:
        """What Hydra hands to its sweepers."""
        assert self.hydra_context is not None  # its setup has been
        return self.hydra_context

    @property
    def asked(self) -> Any:
        """What the user asked of Hydra: launcher, sweeper, the sweep's folder."""
        assert self.config is not None  # its setup has been
        return self.config.hydra

    @property
    def folder(self) -> Path:
        """The sweep's folder."""
        return Path(self.asked.sweep.dir).absolute()

    def compose(self, job: Job) -> DictConfig:
        """Return a job's config as the launcher will compose it. Raises what Hydra and OmegaConf raise."""
        return self.context.config_loader.load_sweep_config(self.config, list(job.overrides))

    def check(self, job: Job) -> Any:
        """Return a job's checked config. Raises GantrainError."""
        from hydra.errors import HydraException
        from omegaconf.errors import OmegaConfBaseException

        from gantrain.config.compose import check
        from gantrain.core.hydra_errors import translated

        try:
            return check(self.compose(job))
        except (HydraException, OmegaConfBaseException) as error:
            raise translated(error) from error

    def run(self, plan: Plan) -> Any:
        """Check a plan's jobs, then run those that are left of it. Raises GantrainError."""
        from gantrain.sweeps.launch import answer, check_all, foretold, owned, record, see_launcher
        from gantrain.sweeps.plan import is_done, open_sweep, result_of

        folder = self.folder
        see_launcher(self.asked.launcher)
        configs = check_all(plan.jobs, self.check)
        if any(config is not None and config.train.dry_run for config in configs):
            print(foretold(plan, configs))
            return []
        with owned(folder):
            open_sweep(folder, plan)
            record(folder, plan, configs)
            results = [result_of(folder / job.folder) for job in plan.jobs]
            left = [
                job
                for job, config, result in zip(plan.jobs, configs, results, strict=True)
                if config is None or not is_done(result, config.train)
            ]
            returned = self.launch(folder, plan, left)
            answer(folder, plan)
        return returned

    def launch(self, folder: Path, plan: Plan, jobs: Sequence[Job]) -> Any:
        """Give jobs to the launcher and return what it returns; one whose workers died returns nothing."""
        from gantrain.sweeps.launch import side_by_side
        from gantrain.sweeps.stop import stoppable

        assert self.launcher is not None  # Hydra's setup has been
        if not jobs:
            return []
        replace(plan, at_once=side_by_side(self.asked.launcher, len(jobs)), pid=os.getpid()).write(folder)
        for job in jobs:  # what an earlier attempt left to say is out of date
            (folder / job.folder / "result.json").unlink(missing_ok=True)
        words = [[*job.overrides, f"hydra.sweep.subdir='{job.folder}'"] for job in jobs]
        try:
            with stoppable(folder):
                return self.launcher.launch(words, initial_job_idx=int(jobs[0].number))
        except BrokenProcessPool as error:
            why = " ".join(str(error).split())
            print(f"gantrain: a worker of the launcher died: {why}", file=sys.stderr)
            return []
