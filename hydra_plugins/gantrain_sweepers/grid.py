"""The sweeper behind ``gantrain -m``: every combination of the values; only jobs that are missing or failed are run.

Hydra imports this module for every run, so whatever is heavy is imported where it is used.
"""

from __future__ import annotations

import copy
import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf, open_dict, read_write

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

    from gantrain.config.options import Config
    from gantrain.core.sweep_folder import Job, Plan, SweepFolder

REPLICAS = ("false", "true", "always")  # whether jobs are played at once: true where that is faster
JOB_NUMBER = "${hydra.job.num}"  # Hydra's default of hydra.sweep.subdir


class GridSweeper(BasicSweeper):
    """Composes and checks all jobs, writes the plan, launches what is left of it, and prints the results."""

    config: Any  # these three are None only until Hydra's setup
    hydra_context: Any
    launcher: Any

    def __init__(self, params: dict[str, str] | None = None, replicas: str | bool = False, **_: Any):
        super().__init__(max_batch_size=None, params=params)
        self.replicas = str(replicas).lower()

    def setup(self, *, config: DictConfig, **context: Any) -> None:
        """Take the sweep's config and Hydra's context. Raises ConfigError for a folder that jobs cannot have."""
        from gantrain.errors import ConfigError
        from gantrain.sweeps.launchers import check_launcher

        check_launcher(config.hydra.launcher)  # before its class is imported
        HydraConfig.instance().set_config(config)  # for ${hydra:...} in the sweep's folder
        if OmegaConf.to_container(config.hydra.sweep, resolve=False)["subdir"] != JOB_NUMBER:  # type: ignore
            what = "cannot be set: a job's folder has its number and what varies"
            raise ConfigError(
                "hydra.sweep.subdir", what, "leave it out, or set run.dir for the sweep's folder"
            )
        if self.replicas not in REPLICAS:
            what = f"{self.replicas!r} is not one of its values"
            raise ConfigError("sweep.replicas", what, f"choose from {', '.join(REPLICAS)}")
        super().setup(config=config, **context)

    def sweep(self, arguments: list[str]) -> Any:
        """Run every combination of the values. Raises GantrainError for an invalid job at once, a failed one last."""
        from gantrain.config.overrides import check_count, is_varied
        from gantrain.errors import ConfigError
        from gantrain.sweeps.plan import plan_jobs

        overrides = self.parse(arguments)
        for override in overrides:
            if override.is_interval_sweep():
                what = "is an interval, from which only a search draws"
                raise ConfigError(override.get_key_element(), what, "add sweep=optuna, or list its values")
            if override.is_choice_sweep() and not any(True for _ in override.sweep_iterator()):
                raise ConfigError(override.get_key_element(), "sweeps over nothing", "list its values")
        check_count(overrides)
        varied = [override.get_key_element() for override in overrides if is_varied(override)]
        combinations = [job for batch in self.split_arguments(overrides, None) for job in batch]
        return self.run(self.plan(plan_jobs(combinations, varied)))

    def parse(self, arguments: Sequence[str]) -> list[Override]:
        """Return the overrides of ``hydra.sweeper.params``, then those of the command line."""
        from gantrain.config.grammar import quote_choices, read_word

        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        params = [read_word(word).text for word in self._parse_config()]
        overrides = parser.parse_overrides([*params, *arguments])
        for override in overrides:
            quote_choices(override)
        return overrides

    def plan(self, jobs: tuple[Job, ...]) -> Plan:
        """Return the plan of these jobs, with the command line of this process."""
        from gantrain.config.overrides import with_absolute_path
        from gantrain.core.plugins import plugin_words, provenance
        from gantrain.core.sweep_folder import Plan
        from gantrain.sweeps.optuna.storage import with_absolute_url
        from gantrain.sweeps.stored_words import remember_words

        words = map(with_absolute_url, sys.argv[1:])
        argv = tuple(map(with_absolute_path, words))  # the sweep may be resumed from another folder
        remember_words(self.folder.path, argv)
        command = shlex.join(["gantrain", *plugin_words(), *argv])
        return Plan(command, argv, jobs, plugins=provenance())

    @property
    def folder(self) -> SweepFolder:
        """The sweep's folder."""
        from gantrain.core.sweep_folder import SweepFolder

        return SweepFolder(Path(self.config.hydra.sweep.dir).absolute())

    @property
    def starts_processes(self) -> bool:
        """Whether jobs are passed to processes that the launcher starts."""
        return not isinstance(self.launcher, BasicLauncher)

    def compose(self, job: Job) -> DictConfig:
        """Return a job's config as the launcher will compose it. Raises Hydra's and OmegaConf's errors."""
        from gantrain.sweeps.launchers import job_words

        words = job_words(self.config.hydra.launcher, job, self.folder)
        composed = self.hydra_context.config_loader.load_sweep_config(self.config, words)
        with open_dict(composed):
            composed.hydra.job.num = int(job.number) if job.number.isdigit() else 0
        HydraConfig.instance().set_config(composed)  # for ${hydra:...} in the job's keys
        return composed

    def check(self, job: Job) -> Any:
        """Return a job's resolved config. Raises GantrainError."""
        from hydra.errors import HydraException
        from omegaconf.errors import OmegaConfBaseException

        from gantrain.config.compose import check
        from gantrain.core.hydra_errors import translate_error

        try:
            return check(self.compose(job))
        except (HydraException, OmegaConfBaseException) as error:
            raise translate_error(error) from error

    def run(self, plan: Plan) -> Any:
        """Check a plan's jobs, then run those that are not done. Raises GantrainError."""
        from gantrain.sweeps import launch
        from gantrain.sweeps.launchers import connection, warn_of_many
        from gantrain.sweeps.plan import is_done
        from gantrain.sweeps.stop import forward_signals

        sweep, launcher = self.folder, self.config.hydra.launcher
        configs = launch.check_all(plan.jobs, self.check)
        launch.warn_of_repeats(plan.jobs, configs)
        if any(config is not None and config.train.dry_run for config in configs):
            print(self.dry_run_report(plan, configs))
            return []
        with launch.sweep_lock(sweep):
            plan = replace(plan, tags=launch.metric_tags(configs))
            self.open(plan)
            pairs = [
                (job, config)
                for job, config in zip(plan.jobs, configs, strict=True)
                if config is None or not is_done(sweep.run(job).outcome(), config.train)
            ]
            with connection(launcher):
                groups = self.group([job for job, _ in pairs], [config for _, config in pairs])
                warn_of_many(launcher, len(groups))
                with forward_signals(sweep, self.starts_processes):
                    returned = self.launch(plan, groups)
            self.print_end(plan)
        return returned

    def dry_run_report(self, plan: Plan, configs: Sequence[Config | None]) -> str:
        """Return what the jobs would cost."""
        from gantrain.sweeps.launch import dry_run_report

        return dry_run_report(plan, configs)

    def open(self, plan: Plan) -> None:
        """Write the plan into the sweep's folder. Raises ConfigError for one that holds anything else."""
        from gantrain.sweeps.plan import open_sweep

        open_sweep(self.folder, plan)

    def print_end(self, plan: Plan) -> None:
        """Print and write the tables of all jobs. Raises GantrainError unless all are done."""
        from gantrain.sweeps.launch import print_summary

        print_summary(self.folder, plan)

    def group(self, jobs: Sequence[Job], configs: Sequence[Config | None]) -> list[tuple[Job, ...]]:
        """Return the jobs of each process: one, or with ``replicas`` all that can be played at once."""
        from gantrain.config.resolve import plain_data
        from gantrain.core.streams import warn
        from gantrain.sweeps.launchers import concurrent_jobs
        from gantrain.sweeps.replicas import plan_groups

        if self.replicas == "false":
            return [(job,) for job in jobs]
        at_once = concurrent_jobs(self.config.hydra.launcher, len(jobs))
        is_always, compose = self.replicas == "always", lambda job: plain_data(self.compose(job))
        groups, lines = plan_groups(self.folder, jobs, configs, compose, at_once, is_always)
        warn(*lines)
        return groups

    def launch(self, plan: Plan, groups: Sequence[tuple[Job, ...]]) -> Any:
        """Pass the first job of each group to the launcher and return what it returns.

        The others are played by the process of the first; jobs that were not started get the reason.
        """
        from gantrain.errors import GantrainError
        from gantrain.sweeps.launch import follow_jobs
        from gantrain.sweeps.launchers import concurrent_jobs, job_words, launcher_of
        from gantrain.sweeps.outcomes import record_unstarted
        from gantrain.sweeps.stop import UntilStopped

        if not groups:
            return []
        # The launcher passes only overrides to a job, which reads the rest from the plan.
        sweep, launcher = self.folder, self.config.hydra.launcher
        together = tuple(tuple(job.folder for job in group) for group in groups if len(group) > 1)
        at_once = concurrent_jobs(launcher, len(groups))
        plan = replace(plan, at_once=at_once, pid=os.getpid(), groups=together)
        sweep.write(plan)
        jobs = [job for group in groups for job in group]
        runs = [sweep.run(job) for job in jobs]
        for run in runs:  # a result of an earlier attempt would be taken for that of this one
            run.result_file.unlink(missing_ok=True)
        for job in (job for group in groups for job in group[1:]):
            self.write_hydra_files(job)
        params = getattr(self.launcher, "params", {})
        if str(params.get("submitit_folder")).startswith(f"{self.config.hydra.sweep.dir}/"):
            # submitit reads pickles by the ids of its jobs, and the sweep's folder may be a stranger's.
            params["submitit_folder"] = f"{tempfile.mkdtemp(prefix='.submitit-', dir=sweep.path)}/%j"
        first = [group[0] for group in groups]
        overrides = [job_words(launcher, job, sweep) for job in first]
        returned: Sequence[Any] = []
        reason = "its launcher did not start it"
        is_silent = not launcher_of(launcher._target_).has_terminal
        try:
            with follow_jobs(sweep, plan, jobs) if is_silent else nullcontext():
                returned = self.launcher.launch(UntilStopped(overrides, sweep), int(first[0].number))
        except GantrainError:
            raise
        except Exception as error:  # as joblib's, when the kernel killed a worker for memory
            reason = f"its launcher failed ({' '.join(str(error).split()) or type(error).__name__})"
        if not sweep.signals():
            of_runs = [one for one, group in zip(returned, groups, strict=False) for _ in group]
            record_unstarted(runs, of_runs, reason)
        return returned

    def write_hydra_files(self, job: Job) -> None:
        """Write what Hydra writes into the folder of a job that it starts, for one that another job's process plays."""
        from gantrain.core.atomic import replace_file

        composed = self.compose(job)
        folder = self.folder.run(job).path / str(composed.hydra.output_subdir)
        with read_write(composed.hydra.runtime), open_dict(composed.hydra.runtime):
            composed.hydra.runtime.output_dir = str(folder.parent)
        plain = copy.copy(composed)
        with open_dict(plain):
            del plain["hydra"]
        parts = {"config": plain, "hydra": composed.hydra, "overrides": composed.hydra.overrides.task}
        folder.mkdir(parents=True, exist_ok=True)
        for name, part in parts.items():
            replace_file(folder / f"{name}.yaml", OmegaConf.to_yaml(part).encode())
